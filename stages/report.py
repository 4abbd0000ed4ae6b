"""report: boot from build/ as a user would, swap the faces of a real photo, and measure what became of them.

Locked is what every machine must find; pictures and figures, whose last digits differ, are in ``build/measured/``.
"""

import csv
import io
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import morphstream
from morphstream.artifact.errors import MorphstreamError
from morphstream.face.types import Face
from morphstream.frame import Frame
from morphstream.media.image import write_image
from stages import summary
from stages.files import write_json, write_whole
from stages.params import load_params
from stages.photos import astronaut, solvay
from stages.program import read_arguments, run_program
from stages.workspace import Workspace

SWAP_MODELS = (
    "inswapper_128_fp16",
    "inswapper_128",
    "hyperswap_1a_256",
    "hyperswap_1b_256",
    "hyperswap_1c_256",
)
FACES_AT_LEAST = 25  # of the 29 people in the photo
GAIN_AT_LEAST = 0.5  # of the cosine to the source


def main(workspace: Workspace) -> None:
    """Report on every swap model."""
    read_arguments(__doc__)
    params, measured, parity = load_params(workspace.params), workspace.measured, workspace.build / "parity"
    source, target = astronaut(), solvay(workspace.downloads)
    measured.mkdir(parents=True, exist_ok=True)
    metrics: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        morphstream.boot(folder, target="cpu", source=workspace.build)
        for name in (name for name in SWAP_MODELS if name in params.models):
            metrics[name] = _swap(Path(folder), name, source, target, measured)
    verdict = {"faces_at_least": FACES_AT_LEAST, "gain_at_least": GAIN_AT_LEAST, "passed": list(metrics)}
    files = [measured / "check" / f"{name}.json" for name in params.models]  # of the models that `check` ran for here
    checked = {file.stem: json.loads(file.read_text("utf-8")) for file in files if file.is_file()}
    write_json(measured / "metrics.json", {**metrics, "parity": checked})
    records = {name: json.loads((workspace.checked / f"{name}.json").read_text("utf-8")) for name in params.models}
    for name, bars in summary.plots(records).items():
        _write_csv(parity / f"{name}.csv", ("comparison", name), bars.items())
    print(summary.table(records))
    document = {"swaps": verdict, "executed": summary.executed(records), "parity": records}
    write_json(workspace.build / "report.json", document)


def _swap(store: Path, name: str, source: Frame, target: Frame, measured: Path) -> dict[str, float]:
    with morphstream.open(store, swap_model=name) as swap:
        identity, faces = swap.identify(source), swap.detect(target)
        start = time.perf_counter()
        swapped = swap(target, identity, faces=faces)
        seconds = time.perf_counter() - start
        found = swap.detect(swapped)
        before = [who.similarity(identity) for who in swap.embed(target, faces)]
        after = [who.similarity(identity) for who in swap.embed(swapped, [_nearest(face, found) for face in faces])]
    write_image(measured / f"{name}.jpg", swapped)
    rows = ((place, f"{b:.4f}", f"{a:.4f}") for place, (b, a) in enumerate(zip(before, after, strict=True)))
    _write_csv(measured / "similarity.csv", ("face", "before", "after"), rows)
    gains = np.subtract(after, before)
    enough = int((gains >= GAIN_AT_LEAST).sum())
    if enough < FACES_AT_LEAST:
        raise MorphstreamError(
            f"{name}: expected {FACES_AT_LEAST} faces nearer to the source by {GAIN_AT_LEAST}, seen {enough} of "
            f"{len(faces)}; look at {measured / name}.jpg"
        )
    return {
        "faces": len(faces),
        "faces_swapped": enough,
        "similarity_before": float(np.mean(before)),
        "similarity_after": float(np.mean(after)),
        "least_gain": float(gains.min()),
        "swap_seconds": seconds,
    }


def _nearest(face: Face, found: list[Face]) -> Face:
    return min(found, key=lambda other: float(np.abs(other.points5 - face.points5).sum()), default=face)


def _write_csv(path: Path, head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


if __name__ == "__main__":
    run_program(main)
