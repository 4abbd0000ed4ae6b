"""Time CPU engines in single precision and in bfloat16: a batch of one, in turns, with two threads.

Promised: the detector, the kit's only real model, needs at most two thirds of the time in bfloat16.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import openvino

from morphstream.machine.probe import probe_machine
from stages.files import ENGINES
from stages.parity.run import HINTS, compile_openvino

DETECTOR, SHARE_AT_MOST = "det_10g", 2 / 3
_TYPES = {"u8": np.uint8, "f32": np.float32}
_WARM_UP = 3


def main() -> int:
    """Print a line a model; return 0 if the promise holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.bfloat16", description=__doc__)
    parser.add_argument("--engines", type=Path, default=ENGINES / "cpu", help="a folder for each model")
    parser.add_argument("--runs", type=int, default=50, help="of which the median is taken")
    options = parser.parse_args()
    if not probe_machine().has_bfloat16:
        print("this CPU has no bfloat16")
        return 1
    print(f"{'median ms':20}", *(f"{precision:>8}" for precision in HINTS), "   share")
    is_kept = True
    for path in sorted(options.engines.glob("*/*.xml")):
        times = medians_ms(path, options.runs)
        share = times["bf16"] / times["fp32"]
        print(f"{path.parent.name:20}", *(f"{value:8.2f}" for value in times.values()), f"{share:8.2f}")
        is_kept &= path.parent.name != DETECTOR or share <= SHARE_AT_MOST
    print(f"{DETECTOR} in bfloat16 takes {SHARE_AT_MOST:.2f} at most: {'yes' if is_kept else 'NO'}")
    return 0 if is_kept else 1


def medians_ms(path: Path, runs: int) -> dict[str, float]:
    """Return an engine's median time by precision; the precisions are called in turns."""
    requests = {precision: _request(path, precision) for precision in HINTS}
    times: dict[str, list[float]] = {precision: [] for precision in HINTS}
    for _ in range(runs + _WARM_UP):
        for precision, request in requests.items():
            start = time.perf_counter()
            request.infer()
            times[precision].append(1000 * (time.perf_counter() - start))
    return {precision: median(values[_WARM_UP:]) for precision, values in times.items()}


def _request(path: Path, precision: str) -> openvino.InferRequest:
    """Open an engine for a batch of one, with random inputs."""
    model = openvino.Core().read_model(path)
    model.reshape({port: [1, *list(port.get_partial_shape())[1:]] for port in model.inputs})
    request = compile_openvino(model, precision).create_infer_request()
    random = np.random.default_rng(0)
    for port in model.inputs:
        values = random.random(tuple(port.get_shape())) * (255 if port.get_element_type().to_string() == "u8" else 1)
        request.set_tensor(port, openvino.Tensor(values.astype(_TYPES[port.get_element_type().to_string()])))
    return request


if __name__ == "__main__":
    sys.exit(main())
