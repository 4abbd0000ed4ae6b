"""index: write the manifests. `index TARGET` gathers engines; `index --models` and `index --archives` list files."""

import argparse
import os
import shutil
from pathlib import Path

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
from morphstream.artifact.target import CacheKey
from stages.files import ARCHIVES, BUILD, CACHES, ENGINES, MANIFESTS, new_folder, write_whole
from stages.pack import MODELS_ARCHIVE
from stages.params import Build, Params, load_params
from stages.program import run_program

IN_GIT = Path("manifests")


def main() -> None:
    """Write one manifest.

    Raises:
        MorphstreamError: What it should name is missing or altered.
        OSError: A file can't be read or written.
    """
    parser = argparse.ArgumentParser(prog="python -m stages.index", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("target", nargs="?", help="a key of build_targets in params.yaml")
    which.add_argument("--models", action="store_true", help="write manifests/models.json")
    which.add_argument("--archives", action="store_true", help="write manifests/archives.json")
    arguments = parser.parse_args()
    params = load_params()
    if arguments.models:
        _write("models.json", models_manifest(params).to_json())
    elif arguments.archives:
        _write("archives.json", archives_manifest(params).to_json())
    else:
        build = params.build(arguments.target)
        index_engines(build, list(params.models), ENGINES / build.target.name, CACHES / build.cache_key)


def index_engines(build: Build, models: list[str], engines: Path, folder: Path) -> None:
    """Gather a target's engines in one folder and write the manifest that names them.

    Raises:
        ManifestError: A model has no engine, or one for another cache.
        DigestMismatchError: An engine was altered since it was built.
        OSError: A file can't be read or written.
    """
    files: dict[str, EngineFile] = {}
    with new_folder(folder) as part:
        for model in models:
            path = engines / model / "manifest.json"
            if not path.is_file():
                raise ManifestError("", f"{path}: expected an engine of {model}, seen none; run `dvc repro`")
            built = EngineManifest.from_json(path.read_bytes())
            if built.cache_key != build.target.target.cache_key:
                raise ManifestError("cache_key", f"{path}: expected {build.cache_key}, seen {built.cache_key}")
            if built.toolchain != build.target.target.toolchain:
                expected = f"expected {build.target.target.toolchain}, seen {built.toolchain}; compile it again"
                raise ManifestError("toolchain", f"{path}: {expected}")
            for name, entry in built.engine_files.items():
                if entry.digest is None:
                    raise ManifestError(name, f"{path}: expected a digest, seen none; compile it again")
                verify_file(engines / model / name, entry.digest)
                _link(engines / model / name, part / name)
            files |= built.engine_files
        manifest = EngineManifest(
            cache_key=build.target.target.cache_key,
            toolchain=build.target.target.toolchain,
            engine_files=files,
        )
        (part / "manifest.json").write_text(manifest.to_json(), "utf-8")


def models_manifest(params: Params) -> ModelsManifest:
    """Describe every model as it lies in build/.

    Raises:
        OSError: One can't be read.
    """
    entries = {
        name: ModelEntry(
            file=model.file,
            digest=digest_of_file(BUILD / model.file),
            role=model.role,
            worker=model.worker,
            group=model.group,
            delivery=model.delivery,
            precision=model.precision,
            licence=model.licence,
        )
        for name, model in params.models.items()
    }
    return ModelsManifest(origin=params.origin, models=entries)


def archives_manifest(params: Params) -> ArchivesManifest:
    """Describe every archive as it lies in build/, read to its end.

    Raises:
        UnsafeArchiveError: One is broken.
        OSError: One can't be read.
    """
    keys: dict[str, CacheKey | None] = {MODELS_ARCHIVE: None}
    keys |= {build.archive: build.target.target.cache_key for build in params.builds.values()}
    entries = {}
    for name, key in keys.items():
        packed = describe(ARCHIVES / f"{name}.tar.zst")
        entries[f"{name}.tar.zst"] = ArchiveEntry(
            digest=packed.archive, tar_digest=packed.tar, cache_key=key, files=packed.files
        )
    return ArchivesManifest(archives=entries)


def _write(name: str, text: str) -> None:
    write_whole(MANIFESTS / name, text.encode())
    write_whole(IN_GIT / name, text.encode())


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)  # engines are large, and both places are DVC's
    except OSError:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    run_program(main)
