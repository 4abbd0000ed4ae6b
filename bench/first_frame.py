"""Time a cold process from a local archive to the first swapped frame, and what a boot of a good store adds.

Promised: under 2 s to the first frame, and under 50 ms of a boot's own work where the store is good.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from stages.files import BUILD

FIRST_S, WARM_MS = 2.0, 50.0
_COLD = """
import sys, time
start = time.perf_counter()
import morphstream
report = morphstream.boot(sys.argv[1], target="cpu", source=sys.argv[2])
booted = time.perf_counter()
from stages.photos import astronaut
photo = astronaut()
read = time.perf_counter()
with morphstream.FaceSwapper.open(sys.argv[1]) as swapper:
    opened = time.perf_counter()
    swapper.swap(photo, swapper.identify(photo))
    done = time.perf_counter()
    own = sum(step.seconds for step in report.steps)
    print(booted - start, opened - read, done - opened, done - start - (read - booted), own)
"""


def main() -> int:
    """Print the times; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.first_frame", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of which the median is taken")
    runs = parser.parse_args().runs
    cold, warm = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_run(Path(folder)))
            warm.append(_run(Path(folder)))
    for name, times in (("empty store", cold), ("good store", warm)):
        boot, opened, swapped, total, _ = (median(column) for column in zip(*times, strict=True))
        print(f"{name}: import and boot {boot:.2f} s, open {opened:.2f} s, swap {swapped:.2f} s, in all {total:.2f} s")
    own_ms = 1000 * median(times[4] for times in warm)
    print(f"a good store's boot itself: {own_ms:.1f} ms, promised {WARM_MS:.0f}")
    return 0 if median(times[3] for times in cold) < FIRST_S and own_ms < WARM_MS else 1


def _run(store: Path) -> list[float]:
    command = [sys.executable, "-c", _COLD, str(store / "store"), str(BUILD)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(number) for number in done.stdout.split()]


if __name__ == "__main__":
    sys.exit(main())
