"""validate: prove that build/ is complete, and is what its manifests and params.yaml name.

`validate --index` first writes the manifest of the archives, and puts the dvc.lock files in order: it is the stage that
runs when the others are locked.
"""

import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import jsonschema

from morphstream.artifact.archive import describe, unpack
from morphstream.artifact.digest import verify_file
from morphstream.artifact.errors import DigestMismatchError, ManifestError, MorphstreamError
from morphstream.artifact.fields import check_size, of_file, path_of
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest, EngineManifest, ModelsManifest
from morphstream.artifact.regular_file import open_regular, read_regular
from morphstream.artifact.staged import scratch_folder
from morphstream.artifact.target import CacheKey
from morphstream.cli.options import Parser
from morphstream.source.source import SMALL_BYTES_MAX
from stages.caches import cache_files
from stages.files import read_json, write_json
from stages.index import write_archives
from stages.lock import order_locks
from stages.pack import archived_files
from stages.params import Params, load_params
from stages.program import run_program
from stages.workspace import Workspace

T = TypeVar("T")


def main(workspace: Workspace) -> Mapping[str, object] | None:
    """Validate everything and record what was; or build again what is asked for, and return what came of it."""
    parser = Parser(prog="python -m stages.validate", description=__doc__)
    parser.add_argument("--index", action="store_true", help="write the manifest of the archives before")
    text = "build it again in a clean folder, and compare: a target, an archive, or hub:ORG/REPO[@REV]"
    parser.add_argument("--rebuild", metavar="WHAT", help=text)
    options = parser.parse_args()
    params, is_indexed = load_params(workspace.params), options.index
    if options.rebuild is not None:
        return _rebuild(workspace, params, options.rebuild)
    if is_indexed:
        write_archives(workspace, params)
        order_locks(workspace)
    models = validate_models(workspace, params)
    with ThreadPoolExecutor() as pool:
        keys = [build.cache_key for build in params.builds.values()]
        caches = dict(zip(params.builds, pool.map(partial(validate_cache, workspace, params), keys), strict=True))
    record = {
        "models": len(models.models),
        "engine_files": {name: len(manifest.engine_files) for name, manifest in caches.items()},
        "archives": len(validate_archives(workspace, params, is_described=is_indexed).archives),
    }
    write_json(workspace.build / "validated.json", record)
    return None


def _rebuild(workspace: Workspace, params: Params, what: str) -> Mapping[str, object]:
    from stages.rebuild.rebuild import rebuild  # here, as it loads what builds

    found = rebuild(workspace, params, what)
    print(found)
    if not found.is_equal:
        seen = found.first or "nothing to compare"
        raise MorphstreamError(f"rebuild {what}: expected what is published, seen {seen}")
    return found.to_object()


def validate_models(workspace: Workspace, params: Params) -> ModelsManifest:
    """Check manifests/models.json and every model's digest; return the manifest."""
    manifest = _read(workspace, "models", ModelsManifest.from_json)
    _check_same("models.json", set(manifest.models), set(params.models))
    for entry in manifest.models.values():
        verify_file(workspace.build / entry.file, entry.digest)
    return manifest


def validate_cache(workspace: Workspace, params: Params, key: CacheKey | str) -> EngineManifest:
    """Check a cache's manifest and every engine's digest; return the manifest."""
    cache_files(workspace, params, key)  # refuses one that lacks a model
    return check_cache(workspace.caches / str(key), workspace.schemas)


def check_cache(folder: Path, schemas: Path) -> EngineManifest:
    """Check that an engine cache holds what its manifest names, and nothing else; return the manifest."""
    manifest = _checked(folder / "manifest.json", schemas / "engine-manifest.schema.json", EngineManifest.from_json)
    for file, entry in manifest.engine_files.items():
        if entry.digest is None:
            remedy = f"run: python -m stages.index --adopt {folder}"
            raise ManifestError(path_of("engine_files", file), f"{folder}: expected a digest, seen none; {remedy}")
        verify_file(folder / file, entry.digest)
    held = {path.name for path in folder.iterdir() if path.name != ".gitignore"}
    _check_same(str(folder), held, {"manifest.json", *manifest.engine_files})
    return manifest


def validate_archives(workspace: Workspace, params: Params, *, is_described: bool = False) -> ArchivesManifest:
    """Check manifests/archives.json, and that each archive unpacks cold to what params ask for; return the manifest.

    With `is_described`, the manifest has just been made of the archives, and their tars needn't be read again.
    """
    manifest = _read(workspace, "archives", ArchivesManifest.from_json)
    wanted = archived_files(workspace, params)
    _check_same("archives.json", set(manifest.archives), set(wanted))
    with ThreadPoolExecutor() as pool:
        checks = [
            pool.submit(check_archive, workspace, name, entry, wanted[name], is_described=is_described)
            for name, entry in manifest.archives.items()
        ]
        for check in checks:
            check.result()
    return manifest


def check_archive(
    workspace: Workspace,
    name: str,
    entry: ArchiveEntry,
    wanted: Collection[str] | None,
    *,
    is_described: bool = False,
) -> None:
    """Check that an archive has the digests of its entry, unpacks into an empty folder, and holds the files of build/.

    `wanted` are the paths that params.yaml asks for; None for an archive that it does not name.
    """
    if wanted is not None:
        _check_same(name, set(entry.files), set(wanted))
    check_unpacks(workspace.archives / name, entry, is_described=is_described)
    for file, digest in entry.files.items():
        verify_file(workspace.build / file, digest)


def check_unpacks(archive: Path, entry: ArchiveEntry, *, is_described: bool = False) -> None:
    """Check that an archive has the digests of its entry, and unpacks into an empty folder."""
    if not is_described and (tar := describe(archive).tar) != entry.tar_digest:
        raise DigestMismatchError(f"{archive.name}: its tar", entry.tar_digest, tar)
    with scratch_folder(archive) as folder, open_regular(archive) as stream:
        unpack(stream, entry.files, folder / "cold", archive=entry.digest)


def check_schema(text: str | bytes, schema: Path) -> None:
    """Check a manifest against its JSON Schema."""
    validator = jsonschema.Draft202012Validator(read_json(schema))
    check_size(text)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError("", f"expected JSON, seen a fault: {error}; run `dvc repro`") from None
    if (fault := jsonschema.exceptions.best_match(validator.iter_errors(document))) is not None:
        raise ManifestError(fault.json_path.removeprefix("$."), fault.message)


def _read(workspace: Workspace, name: str, parse: Callable[[bytes], T]) -> T:
    path, tracked = workspace.manifests / f"{name}.json", workspace.tracked / f"{name}.json"
    manifest = _checked(path, workspace.schemas / f"{name}.schema.json", parse)
    if read_regular(tracked, SMALL_BYTES_MAX) != read_regular(path, SMALL_BYTES_MAX):
        raise ManifestError("", f"{tracked}: expected the bytes of {path}, seen others; run `dvc repro`")
    return manifest


def _checked(path: Path, schema: Path, parse: Callable[[bytes], T]) -> T:
    """Read a manifest that keeps a schema; a refusal names its file."""
    text = read_regular(path, SMALL_BYTES_MAX)
    with of_file(path):
        check_schema(text, schema)
        return parse(text)


def _check_same(what: str, seen: set[str], wanted: set[str]) -> None:
    if seen != wanted:
        missing, extra = sorted(wanted - seen), sorted(seen - wanted)
        expected = f"{what}: expected what params.yaml names, seen {missing} missing and {extra} extra"
        raise ManifestError("", f"{expected}; run `dvc repro`")


if __name__ == "__main__":
    run_program(main, doubts_cache=True)
