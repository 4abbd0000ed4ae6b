"""Time a boot of 1 GiB from a signed repository of a hub on loopback, beside one without a root document.

Promised: at most 1.05 times the time. Each boot is a process of its own, with an empty store; they take turns.
"""

import argparse
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

from bench.boot_hub import REPO, SPAWN, publish, run, serve
from morphstream.boot.boot import boot
from morphstream.source.hub import HubSource
from morphstream.store.store import Store
from tests.signing import Signing
from tests.stages import ROOT

RATIO = 1.05


def main() -> int:
    """Print the medians of both; return 1 when the promise isn't kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.signed_boot", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the payload (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="(%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        folder, signing = Path(name), Signing(Path(name) / "keys")
        publish(folder / "hub", options.mib << 20)
        signing.sign(folder / "hub")
        ours, theirs = SPAWN.Pipe()
        server = SPAWN.Process(target=serve, args=(folder / "hub", theirs), daemon=True)
        server.start()
        endpoint, seen = ours.recv(), dict[str, list[float]]()
        sides = {"plain": None, "signed": signing.root_file()}
        for number in range(options.rounds):
            for side in sorted(sides, reverse=bool(number % 2)):
                took, _, _ = run(partial(booted, root=sides[side]), endpoint, folder / "work")
                seen.setdefault(side, []).append(took)
        server.terminate()
        server.join()
    for side, times in seen.items():
        print(f"{side:6} {median(times):.2f} s ({min(times):.2f} to {max(times):.2f})")
    ratio = median(signed / plain for plain, signed in zip(seen["plain"], seen["signed"], strict=True))
    print(f"signed takes {ratio:.3f} of plain (promised {RATIO}), median of pairs")
    return int(ratio > RATIO)


def booted(endpoint: str, work: Path, *, root: Path | None) -> float:
    """Boot, and return how many seconds it took, python-tuf's import included."""
    os.environ.pop("MORPHSTREAM_ROOT", None)
    source, start = HubSource(REPO, "0" * 40, endpoint=endpoint, token=""), time.perf_counter()
    boot(Store(work / "store"), target="cpu", source=source, root=root)
    took = time.perf_counter() - start
    assert Store(work / "store").current().is_trusted == (root is not None)
    return took


if __name__ == "__main__":
    raise SystemExit(main())
