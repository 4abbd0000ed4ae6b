"""Time CPU engines in single precision and in bfloat16: a batch of one, in turns, with two threads.

Promised: the detector, the kit's only real model, needs at most two thirds of the time in bfloat16.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from morphstream.machine.probe import probe_machine
from morphstream.session.openvino import OpenVINOSession
from stages.workspace import Workspace

DETECTOR, SHARE_AT_MOST = "det_10g", 2 / 3
PRECISIONS = ("fp32", "bf16")
_THREADS, _WARM_UP = 2, 3
_IMAGE = 3  # axes of a row of pixels


def main() -> int:
    """Print a line a model; return 0 if the promise holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.bfloat16", description=__doc__)
    parser.add_argument("--engines", type=Path, default=Workspace(Path()).engines, help="a folder for each model")
    parser.add_argument("--runs", type=int, default=50, help="of which the median is taken")
    options = parser.parse_args()
    if not probe_machine().has_bfloat16:
        print("this CPU has no bfloat16")
        return 1
    print(f"{'median ms':20}", *(f"{precision:>8}" for precision in PRECISIONS), "   share")
    is_kept = True
    for path in sorted(options.engines.glob("*/cpu/*.xml")):
        times = medians_ms(path, options.runs)
        share = times["bf16"] / times["fp32"]
        print(f"{path.parent.parent.name:20}", *(f"{value:8.2f}" for value in times.values()), f"{share:8.2f}")
        is_kept &= path.parent.parent.name != DETECTOR or share <= SHARE_AT_MOST
    print(f"{DETECTOR} in bfloat16 takes {SHARE_AT_MOST:.2f} at most: {'yes' if is_kept else 'NO'}")
    return 0 if is_kept else 1


def medians_ms(path: Path, runs: int) -> dict[str, float]:
    """Return an engine's median time by precision; the precisions are called in turns."""
    sessions = {precision: OpenVINOSession(path, threads=_THREADS, precision=precision) for precision in PRECISIONS}
    random = np.random.default_rng(0)
    inputs = {
        name: random.random((1, *shape), np.float32)
        if len(shape) < _IMAGE
        else random.integers(0, 256, (1, *shape), np.uint8)
        for name, (_, *shape) in sessions["fp32"].input_shapes.items()
    }
    times: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for _ in range(runs + _WARM_UP):
        for precision, session in sessions.items():
            start = time.perf_counter()
            session.run(inputs)
            times[precision].append(1000 * (time.perf_counter() - start))
    return {precision: median(values[_WARM_UP:]) for precision, values in times.items()}


if __name__ == "__main__":
    sys.exit(main())
