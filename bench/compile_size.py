"""Compile a swapper's weight of random numbers, 529 MiB, for one RTX arch, as the stage `compile` does.

Promised: under 10 s and 4 GB of memory, the same bytes on every run.

The model is of inswapper_128's shape: a crop of 128x128 goes down to 32x32 with 1024 channels, through residual
blocks of 3x3 convolutions, and up again.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET = "rtx-sm89"
RUNS = 2
MIB = 2**20
SECONDS_AT_MOST, BYTES_AT_MOST = 10.0, 4 * 10**9

_WIDEST = 1024
_DOWN = ((3, 64, 1), (64, 256, 2), (256, 512, 1), (512, _WIDEST, 2))  # channels in and out, stride
_BLOCKS = 7  # of two convolutions each
_UP = ((_WIDEST, 64), (64, 32))


def main() -> int:
    """Print what each run takes; return 0 if the promise holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.compile_size", description=__doc__)
    parser.add_argument("--run", nargs=2, metavar=("PREPARED", "FOLDER"), help="one run, in this process")
    parser.add_argument("--write", metavar="PREPARED", help="write the model, in this process")
    options = parser.parse_args()
    if options.write:
        write_model(Path(options.write))
        return 0
    if options.run:
        return _compile(Path(options.run[0]), Path(options.run[1]))
    with tempfile.TemporaryDirectory(prefix="compile_size_") as folder:
        return _measure(Path(folder))


def _measure(folder: Path) -> int:
    """Run in processes of their own: this one stays small, as a child's peak begins at its parent's size."""
    prepared = folder / "prepared"
    _child("--write", str(prepared))
    mib = (prepared / "fp32.onnx").stat().st_size / MIB
    print(f"model: {mib:.0f} MiB of float32 weights, for {TARGET}")
    digests, is_kept = [], True
    for run in range(RUNS):
        start = time.perf_counter()
        report = json.loads(_child("--run", str(prepared), str(folder / f"run{run}")))
        seconds = time.perf_counter() - start
        is_kept &= seconds < SECONDS_AT_MOST and report["peak_bytes"] < BYTES_AT_MOST
        digests.append(report["sha256"])
        print(
            f"run {run + 1}: {seconds:.1f} s, {mib / seconds:.0f} MiB/s, peak {report['peak_bytes'] / 1e9:.2f} GB, "
            f"engine {report['bytes'] / MIB:.0f} MiB"
        )
    is_same = len(set(digests)) == 1
    print(f"byte-identical: {'yes' if is_same else 'NO'} (sha256 {', '.join(dict.fromkeys(digests))})")
    promise = f"under {SECONDS_AT_MOST:.0f} s and {BYTES_AT_MOST / 1e9:.0f} GB"
    print(f"{promise}: {'yes' if is_kept else 'NO'}")
    return 0 if is_kept and is_same else 1


def _child(*arguments: str) -> str:
    command = [sys.executable, "-m", "bench.compile_size", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _compile(prepared: Path, folder: Path) -> int:
    """Compile as the stage does, hashing included, and print what it took."""
    from morphstream.artifact.manifest import EngineManifest  # here, so that the measuring process stays small
    from stages.compile import compile_model
    from stages.params import load_params

    compile_model(load_params().target(TARGET), prepared, folder)
    manifest = EngineManifest.from_json((folder / "manifest.json").read_bytes())
    (digest,) = (file.digest for file in manifest.engine_files.values())
    assert digest is not None
    kilo = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo
    print(json.dumps({"peak_bytes": peak, "sha256": digest.sha256, "bytes": digest.bytes}))
    return 0


def write_model(folder: Path) -> None:
    """Write a prepared model of that size and its contract."""
    import numpy as np  # here, so that the measuring process stays small

    from stages.kit.graph import Graph
    from stages.prepare import save_model

    graph, generator, shape = Graph("compile_size"), np.random.default_rng(0), [1, 3, 128, 128]

    def convolve(value: str, source: int, target: int, stride: int = 1) -> str:
        weights = generator.standard_normal((target, source, 3, 3), np.float32) / np.float32(3 * source**0.5)
        return graph.add("Conv", value, weights, pads=[1] * 4, strides=[stride] * 2)

    value = graph.input("crop", shape)
    for source, target, stride in _DOWN:
        value = graph.add("Relu", convolve(value, source, target, stride))
    for _ in range(_BLOCKS):
        inner = graph.add("Relu", convolve(value, _WIDEST, _WIDEST))
        value = graph.add("Add", value, convolve(inner, _WIDEST, _WIDEST))
    for source, target in _UP:
        larger = graph.add("Resize", value, "", np.array([1, 1, 2, 2], np.float32), mode="nearest")
        value = graph.add("Relu", convolve(larger, source, target))
    graph.output(graph.add("Tanh", convolve(value, target, 3)), "swapped", shape)

    folder.mkdir(parents=True)
    save_model(graph.model(), folder / "fp32.onnx")
    contract = {
        "model": "compile_size",
        "group": "inswapper_128",
        "precision": "fp32",
        "inputs": {"crop": {"dtype": "float32", "shape": shape}},
    }
    (folder / "contract.json").write_text(json.dumps(contract), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
