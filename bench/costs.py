"""Time a boot, a swap and a publish of two built checkouts, each a command in a process of its own, in turns.

Promised beside version 860affd: at most 1.03 of the time. A boot is into an empty folder and then again, of the engines
that are there; a swap is of one portrait; a publish is of everything, to an empty repository of a hub on loopback.
Both have bytecode, as installed programs do. Times are of the clock and of the processors; what is judged is the least
of the clock's.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench import with_bytecode
from tests.loopback.server import Hub

MOST = 1.03
HERE = Path(__file__).resolve().parents[1]


def main() -> int:
    """Print a line for each command; return 0 if the promise holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description=__doc__)
    parser.add_argument("before", type=Path, help="the other checkout, built by its `make demo`")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="(%(default)s)")
    options = parser.parse_args()
    checkouts = (options.before.resolve(), HERE)
    times: dict[str, dict[Path, list[tuple[float, float]]]] = {}
    with tempfile.TemporaryDirectory() as name:
        for number in range(options.rounds):
            for checkout in checkouts if number % 2 else checkouts[::-1]:
                for what, took in round_of(checkout, Path(name) / "round").items():
                    times.setdefault(what, {}).setdefault(checkout, []).append(took)
                shutil.rmtree(Path(name) / "round")
    is_kept = True
    for what, found in times.items():
        least = [[min(took[place] for took in found[checkout]) for place in (0, 1)] for checkout in checkouts]
        wall, cpu = ([one[place] for one in least] for place in (0, 1))
        is_kept &= wall[1] <= MOST * wall[0]
        print(f"{what}: {shares(wall)}, processors {shares(cpu)}")
    print(f"at most {MOST} of before: {'yes' if is_kept else 'NO'}")
    return 0 if is_kept else 1


def shares(seconds: list[float]) -> str:
    """Return two times, and what share the second is of the first."""
    return f"{seconds[0]:.3f} s -> {seconds[1]:.3f} s ({seconds[1] / seconds[0]:.2f})"


def round_of(checkout: Path, folder: Path) -> dict[str, tuple[float, float]]:
    """Run each command once; return its seconds of the clock and of processors."""
    folder.mkdir()
    store, photo = folder / "store", checkout / "build/demo/source.png"
    boot = ["morphstream", "boot", "--store", store, "--source", checkout / "build", "--target", "cpu"]
    swap = ["morphstream", "swap", photo, photo, "--store", store, "-o"]
    own = with_bytecode(folder.parent / "bytecode")
    with Hub(folder / "hub") as hub:
        return {
            "boot into an empty folder": timed(checkout, boot, own),
            "boot of what is there": timed(checkout, boot, own),
            "swap, the first": timed(checkout, [*swap, folder / "a.png"], own),
            "swap": timed(checkout, [*swap, folder / "b.png"], own),
            "publish": timed(checkout, ["stages.publish", "all"], own | hub.environment(folder / "home")),
        }


def timed(checkout: Path, command: list[object], environment: Mapping[str, str]) -> tuple[float, float]:
    """Run a module of a checkout; return its seconds of the clock and of processors."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    program = [str(checkout / ".venv/bin/python"), "-m", *map(str, command)]
    subprocess.run(program, cwd=checkout, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
