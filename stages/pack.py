"""pack: make an archive. `pack TARGET` packs its engine cache, `pack --models` the models baked into images.

`pack --cache ARCH KEY` packs any cache of build/, and `pack --cache` the latest of each target.
"""

import argparse
from importlib import metadata
from pathlib import Path

from morphstream.artifact.archive import pack
from morphstream.artifact.errors import ManifestError, ToolchainMismatchError
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.target import CacheKey
from stages.files import ARCHIVES, BUILD, CACHES
from stages.params import ArchiveOptions, Build, Params, load_params
from stages.program import run_program

MODELS_ARCHIVE = "models-core-masks"
_PREFIXES = {"openvino": "cpu", "tensorrt_rtx": "rtx", "tensorrt": "trt"}  # of the archives of caches, by builder
THREADS = 2  # any number gives the same bytes


def main() -> None:
    """Pack one archive.

    Raises:
        MorphstreamError: What it should hold is missing, or the machine has another zstandard.
        OSError: A file can't be read or written.
    """
    parser = argparse.ArgumentParser(prog="python -m stages.pack", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("target", nargs="?", help="a key of build_targets in params.yaml")
    which.add_argument("--models", action="store_true", help=f"pack {MODELS_ARCHIVE}.tar.zst")
    which.add_argument("--cache", nargs="*", metavar="PART", help="pack a cache: sm89 trt10.14_ort1.24 (the latest)")
    arguments = parser.parse_args()
    if arguments.cache and len(arguments.cache) != 2:
        parser.error("--cache takes an arch and a key, such as sm89 trt10.14_ort1.24, or nothing")
    params = load_params()
    if arguments.cache is not None:
        for key in [_key_of("/".join(arguments.cache))] if arguments.cache else latest_caches():
            print(f"{pack_cache(key, params)}.tar.zst")
    elif arguments.models:
        pack_files(MODELS_ARCHIVE, model_files(params), params.archive)
    else:
        build = params.build(arguments.target)
        pack_files(build.archive, cache_files(build, list(params.models)), params.archive)


def _key_of(text: str) -> CacheKey:
    try:
        return CacheKey.parse(text)
    except ValueError as error:
        raise ManifestError("cache_key", f"{error}; name one of {CACHES}") from None


def latest_caches() -> list[CacheKey]:
    """Return the cache key of the highest versions in build/, of each arch, builder and precision.

    Raises:
        ManifestError: There is no cache.
        OSError: A folder can't be read.
    """
    latest: dict[tuple[str, str, str | None], CacheKey] = {}
    for path in sorted(CACHES.glob("*/*/manifest.json")):
        key = _key_of(str(path.parent.relative_to(CACHES)))
        other = latest.setdefault((key.arch, key.builder, key.precision), key)
        if _numbers(key) > _numbers(other):
            latest[key.arch, key.builder, key.precision] = key
    if not latest:
        raise ManifestError("", f"{CACHES}: expected an engine cache, seen none; run `dvc repro`")
    return list(latest.values())


def _numbers(key: CacheKey) -> list[int]:
    return [int(number) for _, version in key.versions for number in version.split(".")]


def pack_cache(key: CacheKey, params: Params) -> str:
    """Pack a cache of build/ that params need not name, and return the archive's name.

    Raises:
        ManifestError: The cache's manifest is broken, or lacks a model that params name.
        ToolchainMismatchError: The machine has another zstandard than params declare.
        UnsafeArchiveError: A file isn't a regular one.
        OSError: A file is missing or can't be read, or the archive can't be written.
    """
    for build in params.builds.values():
        if build.cache_key == str(key):
            pack_files(build.archive, cache_files(build, list(params.models)), params.archive)
            return build.archive
    parts = (_PREFIXES[key.builder], *([key.precision] if key.precision else []), "cache", key.arch)
    name, folder = "-".join(parts), CACHES / str(key)
    pack_files(name, _files_of(folder, _manifest_of(folder)), params.archive)
    return name


def model_files(params: Params) -> list[str]:
    """Return the path of every baked model, in build/ and in the archive."""
    return [model.file for model in params.models.values() if model.delivery == "baked"]


def archived_files(params: Params) -> dict[str, list[str]]:
    """Return the paths that each archive of params holds, by its file name.

    Raises:
        ManifestError: A cache's manifest is broken, or lacks a model or names one too many.
        OSError: It can't be read.
    """
    caches = {f"{build.archive}.tar.zst": cache_files(build, list(params.models)) for build in params.builds.values()}
    return {f"{MODELS_ARCHIVE}.tar.zst": model_files(params), **caches}


def cache_files(build: Build, models: list[str]) -> list[str]:
    """Return the path of every file of an engine cache, in build/ and in the archive.

    Raises:
        ManifestError: The cache's manifest is broken, or lacks a model or names one too many.
        OSError: It can't be read.
    """
    folder = CACHES / build.cache_key
    manifest = _manifest_of(folder)
    held = {entry.onnx_model for entry in manifest.engine_files.values() if entry.onnx_model}
    if held != set(models):
        differing = ", ".join(sorted(held ^ set(models)))
        raise ManifestError(
            "engine_files", f"{folder}: expected the models of params, seen a difference in {differing}"
        )
    return _files_of(folder, manifest)


def _manifest_of(folder: Path) -> EngineManifest:
    return EngineManifest.from_json((folder / "manifest.json").read_bytes())


def _files_of(folder: Path, manifest: EngineManifest) -> list[str]:
    return [str((folder / name).relative_to(BUILD)) for name in ("manifest.json", *manifest.engine_files)]


def pack_files(name: str, files: list[str], options: ArchiveOptions) -> None:
    """Pack files of build/ under their paths there.

    Raises:
        ToolchainMismatchError: The machine has another zstandard than params declare.
        UnsafeArchiveError: There are no files, or one isn't a regular one.
        OSError: A file is missing or can't be read, or the archive can't be written.
    """
    check_zstandard(options)
    sources = {file: (BUILD / file).resolve(strict=True) for file in files}  # DVC may link to its cache
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    pack(sources, ARCHIVES / f"{name}.tar.zst", level=options.level, threads=THREADS)


def check_zstandard(options: ArchiveOptions) -> None:
    """Check that this machine packs the bytes that params declare.

    Raises:
        ToolchainMismatchError: It has another zstandard.
    """
    if (actual := metadata.version("zstandard")) != options.zstandard:
        raise ToolchainMismatchError("archive", "zstandard", options.zstandard, actual)


if __name__ == "__main__":
    run_program(main)
