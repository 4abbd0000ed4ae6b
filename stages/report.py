"""report: boot from build/ as a user would, swap the faces of a real photo, and measure what became of them.

Locked is what every machine must find; pictures and figures, whose last digits differ, are in ``build/measured/``.
A swap model must bring faces nearer to the source where the embedder, which measures that, has the same origin.
Another, such as your own beside the kit's embedder, is drawn and measured.
"""

import csv
import io
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import morphstream
from morphstream.artifact.errors import MorphstreamError
from morphstream.face.look import Look
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame
from morphstream.media.image import write_image
from stages import summary
from stages.exclusive import built_alone
from stages.files import read_json, write_json, write_whole
from stages.params import Params, load_params
from stages.photos import astronaut, solvay
from stages.program import read_arguments, run_program
from stages.workspace import Workspace

FACES_AT_LEAST = 25  # of the 29 people in the photo
GAIN_AT_LEAST = 0.5  # of the cosine to the source
FIRST_LOOK = Look(angles=())  # finds all that count here


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photo, the faces in it, and the identity that they get."""

    frame: Frame
    faces: Sequence[Face]
    identity: Identity


def main(workspace: Workspace) -> None:
    """Report on every swap model."""
    read_arguments(__doc__)
    params, measured, parity = load_params(workspace.params), workspace.measured, workspace.build / "parity"
    measured.mkdir(parents=True, exist_ok=True)
    metrics: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, ThreadPoolExecutor() as pool:
        photos = pool.submit(astronaut), pool.submit(solvay, workspace.downloads)
        morphstream.boot(folder, target="cpu", source=workspace.build)
        if names := swap_models(params):
            swap = stack.enter_context(morphstream.open(folder, swap_model=names[0], look=FIRST_LOOK))
            source, target = (photo.result() for photo in photos)
            photo = Photo(frame=target, faces=swap.detect(target), identity=swap.identify(source))
        for name in names:
            least = FACES_AT_LEAST if is_judged(params, name) else 0
            swap.use(name)
            metrics[name] = _swap(swap, photo, measured, least, pool)
    passed = [name for name in swap_models(params) if is_judged(params, name)]
    verdict = {"faces_at_least": FACES_AT_LEAST, "gain_at_least": GAIN_AT_LEAST, "passed": passed}
    checked = records_of(params, measured / "check")  # of the models that were checked here
    write_json(measured / "metrics.json", {**metrics, "parity": checked})
    records = records_of(params, workspace.checked)
    if missing := next((name for name in params.models if name not in records), None):
        raise MorphstreamError(f"{workspace.checked / missing}.json: expected a verdict, seen none; run `dvc repro`")
    for name, bars in summary.plots(records).items():
        _write_csv(parity / f"{name}.csv", ("comparison", name), bars.items())
    print(summary.table(records))
    document = {"swaps": verdict, "executed": summary.executed(records), "parity": records}
    write_json(workspace.build / "report.json", document)


def records_of(params: Params, folder: Path) -> dict[str, Any]:
    """Return what was found of each model that was checked, also on the GPUs that targets are for."""
    records: dict[str, Any] = {}
    for name in params.models:
        for path in (folder / f"{name}.json", *(folder / target / f"{name}.json" for target in built_alone(params))):
            if path.is_file():
                records[name] = {**records.get(name, {}), **read_json(path)}
    return records


def swap_models(params: Params) -> list[str]:
    """Return the names of the models that swap."""
    return [name for name, model in params.models.items() if model.role == "swapper"]


def is_judged(params: Params, name: str) -> bool:
    """Return whether a swap model must bring faces nearer to the source, by what an embedder of its origin says."""
    origins = {params.origin_of(model) for model in params.models.values() if model.role == "embedder"}
    return params.origin_of(params.model(name)) in origins


def _swap(swap: morphstream.SwapPipeline, photo: Photo, measured: Path, least: int, pool: Executor) -> dict[str, float]:
    name, identity, faces = swap.swap_model, photo.identity, photo.faces
    if not faces:
        raise MorphstreamError(f"{name}: expected faces in the photo, seen none; correct the detector")
    start = time.perf_counter()
    swapped = swap(photo.frame, identity, faces=faces)
    seconds = time.perf_counter() - start
    writing = pool.submit(write_image, measured / f"{name}.jpg", swapped, overwrite=True)
    found = swap.detect(swapped)
    before = [who.similarity(identity) for who in swap.embed(photo.frame, faces)]
    after = [who.similarity(identity) for who in swap.embed(swapped, [_nearest(face, found) for face in faces])]
    writing.result()
    rows = ((place, f"{b:.4f}", f"{a:.4f}") for place, (b, a) in enumerate(zip(before, after, strict=True)))
    _write_csv(measured / "similarity.csv", ("face", "before", "after"), rows)
    gains = np.subtract(after, before)
    enough = int((gains >= GAIN_AT_LEAST).sum())
    if enough < least:
        raise MorphstreamError(
            f"{name}: expected {least} faces nearer to the source by {GAIN_AT_LEAST}, seen {enough} of "
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
    run_program(main, runs_models=True)
