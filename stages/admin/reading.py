"""Read what the matrix shows: params.yaml, the engines in build/, what `check` found of them, and the farm's plan."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError, MorphstreamError
from morphstream.machine.probe import probe_machine
from stages.admin.matrix import Cell, Column, Matrix, Row, reasons_of_cell
from stages.caches import read_cache
from stages.exclusive import engine_folder, engine_stage, exclusive_gpu, seconds_file
from stages.files import read_json
from stages.lists import pipeline_files
from stages.lock import lock_of
from stages.made import is_recorded
from stages.params import Model, Params, TargetOptions, load_params
from stages.summary import words_of
from stages.workspace import Workspace

Stale = Mapping[str, Sequence[str]]  # reasons by stage
_OF_FILES = (" was altered", " is missing", " is not in DVC's cache")  # as `stages.farm.why` has them


def read_matrix(workspace: Workspace, stale: Stale | None) -> Matrix:
    """Read the matrix.

    Args:
        workspace: Where.
        stale: What the farm's plan said last. None where it said nothing yet: then what takes long isn't looked at
            either, such as what this machine can build for.

    Raises:
        MorphstreamError: params.yaml can't be read.
    """
    params, known = load_params(workspace.params), stale or {}
    rows = [_row(workspace, params, model, known) for model in params.models.values()]
    columns = [
        Column(
            target=name,
            cache_key=build.cache_key,
            builder=build.target.target.builder,
            arch=build.target.target.arch,
            why_not="" if stale is None else why_not_built_here(build.target),
            why=tuple(known.get(f"pack@{name}", ())),
        )
        for name, build in params.builds.items()
    ]
    shown = {engine_stage(params, target, model) for target in params.builds for model in params.models}
    shown |= {f"pack@{target}" for target in params.builds}
    others = {stage: tuple(why) for stage, why in known.items() if stage not in shown}
    return Matrix(rows=rows, columns=columns, stale=others, is_checked=stale is not None)


def marks(workspace: Workspace) -> dict[str, tuple[int, int]]:
    """Return the time and the size of every file that decides what the matrix shows, by its path."""
    return {str(path): (state.st_mtime_ns, state.st_size) for path in _files(workspace) if (state := _stat(path))}


def _files(workspace: Workspace) -> Iterator[Path]:
    yield workspace.params
    for path in pipeline_files(workspace):
        yield from (path, lock_of(path))
    yield from workspace.engines.glob("*/*/manifest.json")
    yield from workspace.gpu_engine.glob("*/*/manifest.json")
    yield from workspace.caches.glob("*/*/manifest.json")
    yield from workspace.checked.rglob("*.json")


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        return None


def why_not_built_here(options: TargetOptions) -> str:
    """Return what this machine lacks to build for a target, in words; empty where it can."""
    from stages.compile import builder_of  # here, as it loads the libraries that prepare models

    gpu = exclusive_gpu(options.target)
    if gpu and gpu not in probe_machine().gpu_archs:
        return f"needs a GPU of {gpu}"
    try:
        builder_of(options)
    except MorphstreamError as error:
        return str(error)
    return ""


def _row(workspace: Workspace, params: Params, model: Model, stale: Stale) -> Row:
    cells = [_cell(workspace, params, build.target, model, stale) for build in params.builds.values()]
    return Row(
        model=model.name,
        group=model.group,
        role=model.role,
        licence=model.licence,
        origin=params.origin_of(model),
        file=model.pin,
        cells=cells,
    )


def _cell(workspace: Workspace, params: Params, options: TargetOptions, model: Model, stale: Stale) -> Cell:
    folder, stage = engine_folder(workspace, options, model.name), engine_stage(params, options.name, model.name)
    files, recipe = engine_of(folder)
    why = reasons_of_cell(stale.get(stage, ()), options.name, params.builds)
    if files and any(reason.endswith(_OF_FILES) for reason in why) and is_recorded(folder):
        why = [reason for reason in why if not reason.endswith(_OF_FILES)]  # another target's engine was altered
    record = f"{options.name}/{model.name}.json" if exclusive_gpu(options.target) else f"{model.name}.json"
    verdict = _read(workspace.checked / record).get(options.name)
    measured = _read(workspace.measured / "check" / record).get(options.name, {})
    return Cell(
        target=options.name,
        model=model.name,
        group=model.group,
        state="missing" if not files else "stale" if why else "built",
        why=tuple(why),
        files=files,
        recipe=recipe,
        parity=words_of(verdict) if verdict and verdict.get("executed") else "",
        is_executed=None if verdict is None else bool(verdict.get("executed")),
        why_not_executed=str(measured.get("reason", "")),
        build_s=_read(seconds_file(workspace, options.name, model.name)).get("seconds"),
    )


def engine_of(folder: Path) -> tuple[dict[str, Digest], str | None]:
    """Return the digest of each file of an engine, by name, and its recipe; nothing where there is none that is whole.

    A file that models share isn't its own.
    """
    try:
        entries = read_cache(folder).engine_files
    except (OSError, ManifestError):
        return {}, None
    own = {name: entry for name, entry in entries.items() if entry.onnx_model is not None}
    files = {name: entry.digest for name, entry in own.items() if entry.digest is not None}
    return files, next((entry.recipe for entry in own.values() if entry.recipe), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path))
    except (OSError, ManifestError, ValueError, TypeError):
        return {}
