"""pack: make an archive. `pack TARGET` packs its engine cache, `pack --models` the models baked into images."""

import argparse
from importlib import metadata

from morphstream.artifact.archive import pack
from morphstream.artifact.errors import ManifestError, ToolchainMismatchError
from morphstream.artifact.manifest import EngineManifest
from stages.files import ARCHIVES, BUILD, CACHES
from stages.params import ArchiveOptions, Build, Params, load_params
from stages.program import run_program

MODELS_ARCHIVE = "models-core-masks"
_THREADS = 2  # any number gives the same bytes


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
    arguments = parser.parse_args()
    params = load_params()
    if arguments.models:
        pack_files(MODELS_ARCHIVE, model_files(params), params.archive)
    else:
        build = params.build(arguments.target)
        pack_files(build.archive, cache_files(build, list(params.models)), params.archive)


def model_files(params: Params) -> list[str]:
    """Return the path of every baked model, in build/ and in the archive."""
    return [model.file for model in params.models.values() if model.delivery == "baked"]


def cache_files(build: Build, models: list[str]) -> list[str]:
    """Return the path of every file of an engine cache, in build/ and in the archive.

    Raises:
        ManifestError: The cache's manifest is broken, or lacks a model or names one too many.
        OSError: It can't be read.
    """
    folder = CACHES / build.cache_key
    manifest = EngineManifest.from_json((folder / "manifest.json").read_bytes())
    held = {entry.onnx_model for entry in manifest.engine_files.values() if entry.onnx_model}
    if held != set(models):
        differing = ", ".join(sorted(held ^ set(models)))
        raise ManifestError(
            "engine_files", f"{folder}: expected the models of params, seen a difference in {differing}"
        )
    names = ["manifest.json", *manifest.engine_files]
    return [str((folder / name).relative_to(BUILD)) for name in names]


def pack_files(name: str, files: list[str], options: ArchiveOptions) -> None:
    """Pack files of build/ under their paths there.

    Raises:
        ToolchainMismatchError: The machine has another zstandard than params declare.
        UnsafeArchiveError: There are no files, or one isn't a regular one.
        OSError: A file is missing or can't be read, or the archive can't be written.
    """
    if (actual := metadata.version("zstandard")) != options.zstandard:
        raise ToolchainMismatchError("archive", "zstandard", options.zstandard, actual)
    sources = {file: (BUILD / file).resolve(strict=True) for file in files}  # DVC may link to its cache
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    pack(sources, ARCHIVES / f"{name}.tar.zst", level=options.level, threads=_THREADS)


if __name__ == "__main__":
    run_program(main)
