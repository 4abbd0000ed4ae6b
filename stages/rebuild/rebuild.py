"""Build targets and archives again in a clean folder, and compare them with what is published."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.manifest import ArchiveEntry, EngineManifest
from morphstream.artifact.staged import scratch_folder
from morphstream.artifact.vocabulary import archive_path, cache_path
from morphstream.source.named import HUB
from stages.builders.order import order_of
from stages.caches import read_cache
from stages.clean import build, fetch_lacking
from stages.compile import BUILDERS
from stages.pack import model_files, pack_archive
from stages.params import Build, Params
from stages.prepare import prepare
from stages.rebuild.explain import explain
from stages.rebuild.found import Compared, Rebuilt
from stages.rebuild.published import Published, targets_of
from stages.workspace import Workspace

_BY_TIMING = "tensorrt"
_ABSENT = "it isn't published there"


def rebuild(workspace: Workspace, params: Params, what: str) -> Rebuilt:
    """Build again what a target's or archive's name, or ``hub:ORG/REPO[@REV]``, stands for, and compare it.

    Raises:
        MorphstreamError: There is no such thing, or it can't be built here.
    """
    targets, archives = targets_of(params, what)
    compared = list[Compared]()
    with scratch_folder(workspace.build / "rebuild") as folder:
        published = Published.at(what, folder) if what.startswith(HUB) else Published.of(workspace)
        compared += _models(params, published)
        for name in archives:
            compared += _model_archive(workspace, params, name, published, folder)
        for name in targets:
            options = params.build(name)
            if options.target.target.builder == _BY_TIMING:
                compared += _recipes(workspace, params, options, published, folder)
            else:
                compared += _target(workspace, params, options, published, folder / name)
        first = next((one for one in compared if one.verdict == "different"), None)
        why = explain(workspace, params, published, folder, first) if first else ""
    if not compared:
        raise MorphstreamError(f"rebuild {what}: expected something to compare, seen nothing published of it")
    return Rebuilt(what=what, compared=compared, first=why)


def _models(params: Params, published: Published) -> Iterator[Compared]:
    """Compare the pins of models with what is published: other models make other engines."""
    try:
        models = published.models()
    except MorphstreamError as error:
        yield Compared(name="models", verdict="not compared", why=str(error))
        return
    for name, entry in models.items():
        model = params.models.get(name)
        if model is None or params.origin_of(model) == "kit":
            continue
        if model.pin is not None and model.pin != entry.digest:
            yield _compared(entry.file, entry.digest, model.pin)


def _target(
    workspace: Workspace, params: Params, options: Build, published: Published, folder: Path
) -> Iterator[Compared]:
    """Build a target's engines, and pack them."""
    key = options.target.target.cache_key
    if (cache := published.cache(key)) is None:
        yield Compared(name=cache_path(key), verdict="not compared", why=_ABSENT)
        return
    build(workspace, params, options.target, params.models, folder)
    built = read_cache(folder / cache_path(key))
    for model in params.models:
        yield from _engines(model, cache, built, published)
    if others := sorted(cache.models.keys() - params.models.keys()):
        names = ", ".join(others)
        yield Compared(name=cache_path(key), verdict="not compared", why=f"models of others: {names}")
        return
    archive = f"{options.archive}.tar.zst"
    if (entry := published.archive(archive)) is None:
        yield Compared(name=archive_path(archive), verdict="not compared", why=_ABSENT)
        return
    files = [f"{cache_path(key)}/{name}" for name in ("manifest.json", *built.engine_files)]
    made = pack_archive({name: folder / name for name in files}, folder / archive, params.archive, key)
    for name in sorted(entry.files.keys() | made.files.keys()):
        if entry.files.get(name) != made.files.get(name):
            yield _compared(name, entry.files.get(name), made.files.get(name))
    yield compare_archive(published, archive, entry, made)


def _engines(model: str, cache: EngineManifest, built: EngineManifest, published: Published) -> Iterator[Compared]:
    """Compare the files of a model's engine, by kind: their names begin with the recipe."""
    ours, theirs = ({file.kind: (name, file) for name, file in one.files_of(model).items()} for one in (built, cache))
    nothing = "", None
    for kind in sorted({*ours, *theirs} - {"runtime_cache"}, key=str):
        (name, expected), (other, seen) = theirs.get(kind, nothing), ours.get(kind, nothing)
        path = f"{cache_path(cache.cache_key)}/{name or other}"
        named = published.digest(path, expected.digest) if expected else None
        one = _compared(path, named, seen.digest if seen else None)
        if expected and seen and expected.recipe != seen.recipe:
            one = replace(one, why=f"recipe {expected.recipe}, seen {seen.recipe}")
        yield one


def _model_archive(
    workspace: Workspace, params: Params, name: str, published: Published, folder: Path
) -> Iterator[Compared]:
    """Pack models again."""
    archive = f"{name}.tar.zst"
    if (entry := published.archive(archive)) is None:
        yield Compared(name=archive_path(archive), verdict="not compared", why=_ABSENT)
        return
    files = model_files(params, name)
    held = [model.name for model in params.models.values() if model.file in files]
    there = Workspace(folder / name)
    fetch_lacking(params, held, workspace, there)
    sources = {}
    for file in files:
        fetched = there.build / file
        sources[file] = (fetched if fetched.is_file() else workspace.build / file).resolve()
        yield _compared(file, entry.files.get(file), digest_of_file(sources[file]))
    made = pack_archive(sources, folder / archive, params.archive)
    yield compare_archive(published, archive, entry, made)


def compare_archive(published: Published, archive: str, entry: ArchiveEntry, made: ArchiveEntry) -> Compared:
    """Compare an archive whose members were compared before, and say what differs where these don't."""
    path = archive_path(archive)
    one = _compared(path, published.digest(path, entry.digest), made.digest)
    if one.verdict == "equal":
        return one
    if entry.digest == made.digest:
        return replace(one, why="its manifest names what was built, but its file is another, or none")
    if entry.files != made.files:
        names = sorted(name for name in {**entry.files, **made.files} if entry.files.get(name) != made.files.get(name))
        return replace(one, why=f"its member {names[0]} differs")
    if entry.tar_digest == made.tar_digest:
        return replace(one, why="its tar is equal: compressed at another level, or by another zstandard")
    return replace(one, why="its members are equal: the order or the headers of its tar differ")


def _recipes(
    workspace: Workspace, params: Params, options: Build, published: Published, folder: Path
) -> Iterator[Compared]:
    """Compare what decides the engines of classic TensorRT, whose bytes no two builds have in common."""
    key, builder = options.target.target.cache_key, BUILDERS[options.target.target.builder]
    if (cache := published.cache(key)) is None:
        yield Compared(name=cache_path(key), verdict="not compared", why=_ABSENT)
        return
    fetch_lacking(params, params.models, workspace, there := Workspace(folder / options.target.name))
    for name, model in params.models.items():
        source = there.build / model.file
        prepare(model, source if source.is_file() else workspace.build / model.file, there.prepared / name)
        _, recipe = order_of(builder, options.target, there.prepared / name, folder, folder)
        expected = next((file.recipe for file in cache.files_of(name).values() if file.recipe), None)
        verdict = "not compared" if expected is None else "equal" if expected == recipe.sha256 else "different"
        why = "no recipe is published" if expected is None else "its recipe; bytes are chosen by timing on a GPU"
        yield Compared(name=f"{key} {name}", verdict=verdict, expected=expected or "", seen=recipe.sha256, why=why)
    parity = "parity is what `dvc repro` checks on a machine with such a GPU"
    yield Compared(name=cache_path(key), verdict="not compared", why=f"bytes and archive: {parity}")


def _compared(name: str, expected: Digest | None, seen: Digest | None) -> Compared:
    verdict = "equal" if expected == seen else "different"
    return Compared(
        name=name,
        verdict=verdict,
        expected=expected.sha256 if expected else "",
        seen=seen.sha256 if seen else "",
    )
