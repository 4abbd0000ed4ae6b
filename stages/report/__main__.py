"""report: boot from build/ as a user would, swap the faces of a real photo, and show what became of them on a page.

Locked is what every machine must find; pictures and figures, whose last digits differ, are in ``build/measured/``, and
``build/report/index.html`` shows them, with sizes and parity, in one file. It lacks pictures where no model swaps.
A swap model must bring faces nearer to the source where the embedder, which measures that, has the same origin.
Another, such as your own beside the kit's embedder, is drawn and measured.
"""

import csv
import io
import tempfile
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import morphstream
from morphstream.artifact.errors import MorphstreamError
from morphstream.cli.timed import timed_engines
from morphstream.face.look import Look
from morphstream.media.image import write_image
from stages import summary
from stages.exclusive import built_alone
from stages.files import new_folder, read_json, write_json, write_whole
from stages.params import Params, load_params
from stages.photos import astronaut, solvay
from stages.program import read_arguments, run_program
from stages.report.engine_times import engine_times
from stages.report.page import Page, render
from stages.report.pictures import Pictures, draw_pictures
from stages.report.sizes import read_sizes
from stages.report.swaps import GAIN_AT_LEAST, Photo, Swap, swap_photo
from stages.workspace import Workspace

FACES_AT_LEAST = 25  # of the 29 people in the photo
FIRST_LOOK = Look(angles=())  # finds all that count here


def main(workspace: Workspace) -> None:
    """Report on every swap model."""
    read_arguments(__doc__)
    params, parity = load_params(workspace.params), workspace.build / "parity"
    with tempfile.TemporaryDirectory() as store:
        morphstream.boot(store, target="cpu", source=workspace.build)
        swaps, pictures = _swap_all(params, workspace, Path(store))
        times = list(engine_times(Path(store)))
    passed = [name for name in swap_models(params) if is_judged(params, name)]
    verdict = {"faces_at_least": FACES_AT_LEAST, "gain_at_least": GAIN_AT_LEAST, "passed": passed}
    records = records_of(params, workspace.checked)
    if missing := next((name for name in params.models if name not in records), None):
        raise MorphstreamError(f"{workspace.checked / missing}.json: expected a verdict, seen none; run `dvc repro`")
    for name, bars in summary.plots(records).items():
        _write_csv(parity / f"{name}.csv", ("comparison", name), bars.items())
    with new_folder(parity / "models") as folder:
        for name, record in records.items():
            found = {subject: summary.words_of(figures) for subject, figures in record.items()}
            write_json(folder / f"{name}.json", found)
    print(summary.table(records))
    document = {"swaps": verdict, "executed": summary.executed(records), "parity": records}
    write_json(workspace.build / "report.json", document)
    page = Page(
        passed=passed,
        faces_at_least=FACES_AT_LEAST,
        swaps=swaps,
        pictures=pictures,
        engine_times=times,
        sizes=read_sizes(params, workspace),
        records=records,
        measured=records_of(params, workspace.measured / "check"),  # of the models that were checked here
    )
    write_whole(workspace.report / "index.html", render(page).encode())


def _swap_all(params: Params, workspace: Workspace, store: Path) -> tuple[list[Swap], Pictures | None]:
    """Swap the photo with every swap model of a booted store; return what became of it, drawn for the first of them."""
    names, (engines, spent), swaps, measured = swap_models(params), timed_engines(), list[Swap](), workspace.measured
    writing: list[Future[None]] = []
    if not names:
        return [], None
    measured.mkdir(parents=True, exist_ok=True)
    with (
        ThreadPoolExecutor() as pool,
        morphstream.open(store, swap_model=names[0], look=FIRST_LOOK, engines=engines) as swap,
    ):
        photos = pool.submit(astronaut), pool.submit(solvay, workspace.downloads)
        source, target = (photo.result() for photo in photos)
        photo = Photo(source=source, frame=target, faces=swap.detect(target), identity=swap.identify(source))
        if photo.faces:
            swap(target, photo.identity, faces=photo.faces)  # the first call of all takes longer
        for name in names:
            if name != swap.swap_model:
                swap.use(name)
            swaps.append(swapped := swap_photo(swap, photo, spent))
            writing.append(pool.submit(write_image, measured / f"{name}.jpg", swapped.frame, overwrite=True))
            _write_figures(measured, swapped)
            if swapped.enough < (least := FACES_AT_LEAST if is_judged(params, name) else 0):
                raise MorphstreamError(
                    f"{name}: expected {least} faces nearer to the source by {GAIN_AT_LEAST}, seen {swapped.enough} of "
                    f"{len(photo.faces)}; look at {measured / name}.jpg"
                )
        for written in writing:
            written.result()
        return swaps, draw_pictures(swap, photo, swaps, FIRST_LOOK)


def _write_figures(measured: Path, swap: Swap) -> None:
    """Write the metrics of a swap, and the rows of its plot."""
    rows = ((face, f"{b:.4f}", f"{a:.4f}") for face, (b, a) in enumerate(zip(swap.before, swap.after, strict=True), 1))
    _write_csv(measured / "similarity" / f"{swap.model}.csv", ("face", "before", "after"), rows)
    write_json(measured / "swaps" / f"{swap.model}.json", swap.metrics)


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


def _write_csv(path: Path, head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


if __name__ == "__main__":
    run_program(main, runs_models=True)
