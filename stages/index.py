"""index: write the manifests. `index TARGET` gathers engines; `index --models` and `index --archives` list files.

`index --pack` then packs what was indexed: the target's cache, or every archive of models.
`index --adopt DIR` takes an engine cache that others made, and completes its manifest.
"""

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

from morphstream.artifact.archive import describe
from morphstream.artifact.digest import digest_of_file, verify_file
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.manifest import (
    ArchiveEntry,
    ArchivesManifest,
    EngineFile,
    EngineManifest,
    ModelEntry,
    ModelsManifest,
)
from morphstream.artifact.target import CacheKey, Target
from morphstream.cli.options import Parser
from stages.adopt import adopt
from stages.caches import holds_more, read_cache
from stages.declare import check_declared
from stages.exclusive import engine_folder
from stages.files import new_folder, write_whole
from stages.licences import licences_of
from stages.pack import pack_cache, pack_models
from stages.params import Params, load_params
from stages.program import run_program
from stages.workspace import Workspace

_REMEDY = "remove its folder, and compile again"


def main(workspace: Workspace) -> None:
    """Write one manifest."""
    parser = Parser(prog="python -m stages.index", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("target", nargs="?", help="a key of build_targets in params.yaml")
    which.add_argument("--models", action="store_true", help="write manifests/models.json")
    which.add_argument("--archives", action="store_true", help="write manifests/archives.json")
    which.add_argument("--adopt", type=Path, metavar="DIR", help="verify and complete the manifest.json of a cache")
    parser.add_argument(
        "--merge", action="store_true", help="with a target: keep the engines of models that have none in build/engines"
    )
    parser.add_argument("--pack", action="store_true", help="with a target or --models: pack it; a merged cache isn't")
    arguments = parser.parse_args()
    if arguments.merge and arguments.target is None:
        parser.error("--merge goes with a target")
    if arguments.pack and arguments.target is None and not arguments.models:
        parser.error("--pack goes with a target or --models")
    params = load_params(workspace.params)
    if arguments.adopt is not None:
        print(adopt(arguments.adopt, params))
    elif arguments.models:
        _write(workspace, "models.json", models_manifest(workspace, params).to_json())
        if arguments.pack:
            pack_models(workspace, params, params.model_archives)
    elif arguments.archives:
        write_archives(workspace, params)
    else:
        build = params.build(arguments.target)
        check_declared(workspace, f"pack/{build.target.name}", params)
        engines = {name: engine_folder(workspace, build.target, name) for name in params.models}
        index_engines(
            build.target.target,
            engines,
            workspace.caches / build.cache_key,
            licences=licences_of(params),
            is_merged=arguments.merge,
        )
        if arguments.pack and not arguments.merge:
            pack_cache(workspace, params, build.target.target.cache_key)


def index_engines(
    target: Target,
    engines: Mapping[str, Path],
    folder: Path,
    *,
    licences: Mapping[str, str],
    is_merged: bool = False,
) -> None:
    """Gather a target's engines in one folder and write the manifest that names them.

    Each model has a folder with its engine, and a licence. With `is_merged`, one whose folder isn't there keeps
    the engine that the cache has for it, if any.
    """
    with new_folder(folder) as part:
        built = [model for model, engine in engines.items() if not is_merged or engine.exists()]
        found = [file for model in built for file in _engine_files(target, engines[model])]
        if others := engines.keys() - set(built):
            found += _kept_files(target, folder, others)
        chosen: dict[str, tuple[Path, EngineFile]] = {}
        for path, entry in found:
            if path.name not in chosen or holds_more(entry, chosen[path.name][1]):
                chosen[path.name] = path, entry
        for name, (path, _) in chosen.items():
            _link(path, part / name)
        files = {
            name: replace(entry, licence=licences.get(entry.onnx_model or "", entry.licence))
            for name, (_, entry) in chosen.items()
        }
        manifest = EngineManifest(cache_key=target.cache_key, toolchain=target.toolchain, engine_files=files)
        (part / "manifest.json").write_text(manifest.to_json(), "utf-8")


def _engine_files(
    target: Target, folder: Path, models: Collection[str] | None = None
) -> Iterator[tuple[Path, EngineFile]]:
    """Yield the verified files of an engine, or those of a cache that are some models' or shared."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise ManifestError("", f"{path}: expected an engine of {folder.parent.name}, seen none; run `dvc repro`")
    manifest = read_cache(folder, _REMEDY)
    if manifest.cache_key != target.cache_key:
        raise ManifestError("cache_key", f"{path}: expected {target.cache_key}, seen {manifest.cache_key}")
    if manifest.toolchain != target.toolchain:
        expected = f"expected toolchain {target.toolchain}, seen {manifest.toolchain}; compile it again"
        raise ManifestError("", f"{path}: {expected}")
    for name, entry in manifest.engine_files.items():
        if entry.digest is None:
            raise ManifestError(name, f"{path}: expected a digest, seen none; compile it again")
        if models is None or entry.onnx_model in (*models, None):
            verify_file(folder / name, entry.digest)
            yield folder / name, entry


def _kept_files(target: Target, folder: Path, models: Collection[str]) -> Iterator[tuple[Path, EngineFile]]:
    """Yield what a cache holds of models; nothing of an obsolete cache that holds none of them."""
    if (folder / "manifest.json").is_file() and read_cache(folder, _REMEDY).models.keys() & models:
        yield from _engine_files(target, folder, models)


def models_manifest(workspace: Workspace, params: Params) -> ModelsManifest:
    """Describe every model of build/."""
    entries = {
        name: ModelEntry(digest=digest_of_file(workspace.build / model.file), **model.listed)
        for name, model in params.models.items()
    }
    return ModelsManifest(origin=params.origin, models=entries)


def archives_manifest(workspace: Workspace, params: Params) -> ArchivesManifest:
    """Describe every archive of build/, read to its end."""
    names = params.archive_names
    with ThreadPoolExecutor() as pool:
        entries = pool.map(described, [workspace.archives / name for name in names])
        return ArchivesManifest(archives=dict(zip(names, entries, strict=True)))


def described(archive: Path) -> ArchiveEntry:
    """Describe an archive, read to its end."""
    packed = describe(archive)
    caches = [PurePosixPath(path).parent for path in packed.files if path.endswith("/manifest.json")]
    try:
        keys = [CacheKey.parse(str(folder.relative_to("trt_cache"))) for folder in caches]
        (key,) = keys or (None,)
    except ValueError:
        seen = f"seen {', '.join(map(str, caches))}"
        raise ManifestError("", f"{archive.name}: expected one engine cache or none, {seen}; pack it again") from None
    return ArchiveEntry(digest=packed.archive, tar_digest=packed.tar, cache_key=key, files=packed.files)


def write_archives(workspace: Workspace, params: Params) -> None:
    """Write the manifest of every archive of build/."""
    _write(workspace, "archives.json", archives_manifest(workspace, params).to_json())


def _write(workspace: Workspace, name: str, text: str) -> None:
    for folder in (workspace.manifests, workspace.tracked):
        write_whole(folder / name, text.encode())


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)  # engines are large, and both places are DVC's
    except OSError:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    run_program(main)
