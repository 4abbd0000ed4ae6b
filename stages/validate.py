"""validate: prove that build/ is what its manifests say, whole, and what params.yaml asks for."""

import argparse
import json
import tempfile
from collections.abc import Collection
from pathlib import Path

import jsonschema

from morphstream.artifact.archive import describe, unpack
from morphstream.artifact.digest import verify_file
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.listings import ArchiveEntry, ArchivesManifest, ModelsManifest
from morphstream.artifact.manifest import EngineManifest
from stages.files import ARCHIVES, BUILD, CACHES, MANIFESTS, write_whole
from stages.index import IN_GIT
from stages.pack import archived_files, cache_files
from stages.params import Params, load_params
from stages.program import run_program

_SCHEMAS = Path("manifests/schema")
_RECORD = BUILD / "validated.json"


def main() -> None:
    """Validate everything and record what was.

    Raises:
        MorphstreamError: Something is missing, altered, or not of its format.
        OSError: A file can't be read.
    """
    argparse.ArgumentParser(prog="python -m stages.validate", description=__doc__).parse_args()
    params = load_params()
    record = {
        "models": validate_models(params),
        "engine_files": {name: validate_cache(params, name) for name in params.builds},
        "archives": validate_archives(params),
    }
    write_whole(_RECORD, (json.dumps(record, indent=2) + "\n").encode())


def validate_models(params: Params) -> int:
    """Check manifests/models.json and every model's digest; return how many there are.

    Raises:
        MorphstreamError: Something is missing, altered, or not of its format.
        OSError: A file can't be read.
    """
    manifest = ModelsManifest.from_json(_read("models.json", "models"))
    _same("models.json", set(manifest.models), set(params.models))
    for entry in manifest.models.values():
        verify_file(BUILD / entry.file, entry.digest)
    return len(manifest.models)


def validate_cache(params: Params, name: str) -> int:
    """Check a target's manifest and every engine's digest; return how many files there are.

    Raises:
        MorphstreamError: Something is missing, altered, or not of its format.
        OSError: A file can't be read.
    """
    build = params.build(name)
    cache_files(build, list(params.models))
    return len(check_cache(CACHES / build.cache_key).engine_files)


def check_cache(folder: Path) -> EngineManifest:
    """Check that an engine cache is what its manifest says, and nothing else; return that.

    Raises:
        MorphstreamError: Something is missing, altered, or not of its format.
        OSError: A file can't be read.
    """
    text = (folder / "manifest.json").read_text("utf-8")
    check_schema(text, "engine-manifest")
    manifest = EngineManifest.from_json(text)
    for file, entry in manifest.engine_files.items():
        if entry.digest is None:
            remedy = f"run: python -m stages.index --adopt {folder}"
            raise ManifestError(f"engine_files['{file}']", f"{folder}: expected a digest, seen none; {remedy}")
        verify_file(folder / file, entry.digest)
    held = {path.name for path in folder.iterdir() if path.name != ".gitignore"}
    _same(str(folder), held, {"manifest.json", *manifest.engine_files})
    return manifest


def validate_archives(params: Params) -> int:
    """Check manifests/archives.json, and that each archive unpacks cold to exactly what params ask for.

    Raises:
        MorphstreamError: Something is missing, altered, or not of its format.
        OSError: A file can't be read.
    """
    manifest = ArchivesManifest.from_json(_read("archives.json", "archives"))
    wanted = archived_files(params)
    _same("archives.json", set(manifest.archives), set(wanted))
    for name, entry in manifest.archives.items():
        check_archive(name, entry, wanted[name])
    return len(manifest.archives)


def check_archive(name: str, entry: ArchiveEntry, wanted: Collection[str] | None) -> None:
    """Check that an archive is what its entry says, unpacks cold, and holds the files of build/.

    Args:
        name: Its file name.
        entry: What it should be.
        wanted: The paths that params ask for; None for an archive that they do not name.

    Raises:
        MorphstreamError: It is another, or broken.
        OSError: It, or a file, can't be read.
    """
    if wanted is not None:
        _same(name, set(entry.files), set(wanted))
    if describe(ARCHIVES / name).tar != entry.tar_digest:
        raise ManifestError(f"archives['{name}']", "expected the tar digest of the manifest, seen another; pack again")
    with tempfile.TemporaryDirectory(dir=BUILD) as folder, (ARCHIVES / name).open("rb") as stream:
        unpack(stream, entry.files, Path(folder) / "cold", archive=entry.digest)
    for file, digest in entry.files.items():
        verify_file(BUILD / file, digest)


def check_schema(text: str, schema: str) -> None:
    """Check a manifest against its JSON Schema.

    Raises:
        ManifestError: It breaks the schema.
        OSError: The schema can't be read.
    """
    validator = jsonschema.Draft202012Validator(json.loads((_SCHEMAS / f"{schema}.schema.json").read_text("utf-8")))
    try:
        document = json.loads(text)
    except ValueError as fault:
        raise ManifestError("", f"{schema}: expected JSON, seen a fault: {fault}; run `dvc repro`") from None
    if (error := jsonschema.exceptions.best_match(validator.iter_errors(document))) is not None:
        raise ManifestError(error.json_path.removeprefix("$."), error.message)


def _read(name: str, schema: str) -> str:
    text = (MANIFESTS / name).read_text("utf-8")
    check_schema(text, schema)
    if (IN_GIT / name).read_text("utf-8") != text:
        raise ManifestError(
            "", f"{IN_GIT / name}: expected the bytes of {MANIFESTS / name}, seen others; run `dvc repro`"
        )
    return text


def _same(what: str, seen: set[str], wanted: set[str]) -> None:
    if seen != wanted:
        lacks, extra = sorted(wanted - seen), sorted(seen - wanted)
        raise ManifestError(
            "",
            f"{what}: expected what params.yaml names, seen lacking {lacks} and extra {extra}; run `dvc repro`",
        )


if __name__ == "__main__":
    run_program(main)
