"""Adopt an engine cache that others made: verify its plain manifest, and add what our manifests have beyond that."""

from dataclasses import replace
from pathlib import Path

from morphstream.artifact.digest import digest_of_file, verify_file
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.fields import path_of
from morphstream.artifact.manifest import EngineFile
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import RUNTIME_CACHE
from stages.caches import read_cache
from stages.files import write_whole
from stages.params import Params

KINDS = {  # of the files of a cache, by their names' endings
    ".engine": "engine",
    ".profile": "profile",
    ".timing": "timing",
    ".onnx": "ep_context",
    ".xml": "ir",
    ".bin": "ir_weights",
    ".npy": "emap",
    f".{RUNTIME_CACHE}": RUNTIME_CACHE,
}
_POINTER = b"version https://git-lfs.github.com/spec/"


def adopt(folder: Path, params: Params) -> str:
    """Write digest and kind of every file into a cache's ``manifest.json``, and return a summary in a line.

    Digests that it has are verified, not replaced. What made an engine can't be known: recipe, precision and
    toolchain stay as they are, also where there are none. No other file changes, and none when something is refused.
    """
    path, manifest = folder / "manifest.json", read_cache(folder)
    _check_folder(folder, manifest.cache_key)
    files = {name: _adopted(folder, name, file, params) for name, file in manifest.engine_files.items()}
    write_whole(path, replace(manifest, engine_files=files).to_json().encode())
    known = sum(file.digest is not None for file in manifest.engine_files.values())
    summary = f"{path}: {len(files)} files adopted for {manifest.cache_key}, {known} of them by their digest"
    unnamed = sorted({entry.name for entry in folder.iterdir() if not entry.name.startswith(".")} - {path.name, *files})
    return f"{summary}; no manifest names {', '.join(unnamed)}: remove them before you publish" if unnamed else summary


def _check_folder(folder: Path, key: CacheKey) -> None:
    """Check that a folder whose name is a cache key is named as its manifest says."""
    name = "/".join(folder.resolve().parts[-2:])
    try:
        CacheKey.parse(name)
    except ValueError:
        return  # somewhere else on this machine
    if name != str(key):
        raise ManifestError("cache_key", f"{folder}: expected {name}, as its folders say, seen {key}")


def _adopted(folder: Path, name: str, file: EngineFile, params: Params) -> EngineFile:
    path, where = folder / name, path_of("engine_files", name)
    model = params.models.get(file.onnx_model or "")
    if model is not None and model.group != file.group:
        seen = f"expected group {model.group} of {model.name}, as in params.yaml, seen {file.group}"
        raise ManifestError(where, f"{folder}: {seen}; correct the one that is wrong")
    if path.is_symlink() or not path.is_file():
        raise ManifestError(where, f"{folder}: expected the file, seen none; download it, or remove its entry")
    with path.open("rb") as content:
        begin = content.read(len(_POINTER))
    if not begin or begin == _POINTER:
        seen = "a pointer to large storage; run `git lfs pull`" if begin else "an empty file; download it again"
        raise ManifestError(where, f"{folder}: expected the file's bytes, seen {seen}")
    if file.digest is not None:
        verify_file(path, file.digest)
    digest = file.digest or digest_of_file(path)
    return replace(file, digest=digest, kind=file.kind or KINDS.get(path.suffix))
