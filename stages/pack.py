"""pack: make an archive. `pack TARGET` packs its engine cache, `pack --models NAME` models that images contain.

`pack --cache ARCH KEY` packs any cache of build/, and `pack --cache` the latest of each target.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from morphstream.artifact.archive import pack
from morphstream.artifact.errors import ManifestError, ToolchainMismatchError
from morphstream.artifact.manifest import ArchiveEntry
from morphstream.artifact.regular_file import real_path
from morphstream.artifact.target import CacheKey
from morphstream.cli.options import Parser
from stages.caches import cache_files, parse_key
from stages.params import ArchiveOptions, Params, load_params
from stages.program import run_program
from stages.workspace import Workspace

_PREFIXES = {"openvino": "cpu", "tensorrt_rtx": "rtx", "tensorrt": "trt"}  # of the archives of caches, by builder
_THREADS = 2  # any number writes the same bytes


def main(workspace: Workspace) -> None:
    """Pack one archive."""
    parser = Parser(prog="python -m stages.pack", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("target", nargs="?", help="a key of build_targets in params.yaml")
    which.add_argument("--models", nargs="?", const="", metavar="NAME", help="pack one of model_archives (all)")
    which.add_argument("--cache", nargs="*", metavar="PART", help="pack a cache: sm89 trt10.14_ort1.24 (the latest)")
    arguments = parser.parse_args()
    if arguments.cache and len(arguments.cache) != 2:
        parser.error("--cache takes an arch and a key, such as sm89 trt10.14_ort1.24, or nothing")
    params = load_params(workspace.params)
    if arguments.cache is not None:
        named = [parse_key("/".join(arguments.cache), params)] if arguments.cache else latest_caches(workspace, params)
        for key in named:
            print(f"{pack_cache(workspace, params, key)}.tar.zst")
    elif arguments.models is not None:
        pack_models(workspace, params, [arguments.models] if arguments.models else params.model_archives)
    else:
        pack_cache(workspace, params, params.build(arguments.target).target.target.cache_key)


def latest_caches(workspace: Workspace, params: Params) -> list[CacheKey]:
    """Return the cache key of the highest versions in build/, of each arch, builder and precision."""
    caches = workspace.caches
    keys = [
        parse_key(str(path.parent.relative_to(caches)), params) for path in sorted(caches.glob("*/*/manifest.json"))
    ]
    in_order = sorted(keys, key=lambda key: [int(part) for _, version in key.versions for part in version.split(".")])
    latest = {(key.arch, key.builder, key.precision): key for key in in_order}
    if not latest:
        raise ManifestError("", f"{caches}: expected an engine cache, seen none; run `dvc repro`")
    return [key for key in keys if key in latest.values()]


def pack_cache(workspace: Workspace, params: Params, key: CacheKey) -> str:
    """Pack a cache of build/ that params.yaml need not name, and return the archive's name."""
    archives = {build.cache_key: build.archive for build in params.builds.values()}
    parts = (_PREFIXES[key.builder], *([key.precision] if key.precision else []), "cache", key.arch)
    name = archives.get(str(key), "-".join(parts))
    pack_files(workspace, name, cache_files(workspace, params, key), params.archive)
    return name


def pack_models(workspace: Workspace, params: Params, names: Iterable[str]) -> None:
    """Pack archives of models, by name."""
    for name in names:
        pack_files(workspace, name, model_files(params, name), params.archive)


def model_files(params: Params, name: str | None = None) -> list[str]:
    """Return the path of every model in an archive of models, or in any, in build/ and in the archive."""
    archives = [params.model_archive(name)] if name else params.model_archives.values()
    groups = {group for held in archives for group in held}
    return [model.file for model in params.models.values() if model.group in groups]


def archived_files(workspace: Workspace, params: Params) -> dict[str, list[str]]:
    """Return the paths that each archive of params.yaml holds, by its file name."""
    models = [model_files(params, name) for name in params.model_archives]
    caches = [cache_files(workspace, params, build.cache_key) for build in params.builds.values()]
    return dict(zip(params.archive_names, [*models, *caches], strict=True))


def pack_files(workspace: Workspace, name: str, files: list[str], options: ArchiveOptions) -> None:
    """Pack files of build/ under their paths there."""
    sources = {file: real_path(workspace.build / file) for file in files}  # DVC may link to its cache
    pack_archive(sources, workspace.archives / f"{name}.tar.zst", options)


def pack_archive(
    sources: Mapping[str, Path], target: Path, options: ArchiveOptions, key: CacheKey | None = None
) -> ArchiveEntry:
    """Pack files under their names, the bytes that params.yaml declares, and return the archive's entry."""
    from importlib import metadata  # here, as most programs that import this pack nothing

    if (actual := metadata.version("zstandard")) != options.zstandard:
        raise ToolchainMismatchError("archive", "zstandard", options.zstandard, actual)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = pack(sources, target, level=options.level, threads=_THREADS)
    return ArchiveEntry(digest=made.archive, tar_digest=made.tar, cache_key=key, files=made.files)


if __name__ == "__main__":
    run_program(main)
