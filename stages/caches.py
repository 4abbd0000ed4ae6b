"""The engine caches of build/: their manifests, and the files that params.yaml asks of them."""

from pathlib import Path

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.manifest import EngineFile, EngineManifest
from morphstream.artifact.regular_file import read_regular
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import cache_path
from morphstream.source.source import SMALL_BYTES_MAX
from stages.params import Params
from stages.workspace import Workspace


def read_cache(folder: Path, remedy: str = "") -> EngineManifest:
    """Read the ``manifest.json`` of an engine cache, or of one engine; `remedy` is what to do about a broken one."""
    path = folder / "manifest.json"
    try:
        return EngineManifest.from_json(read_regular(path, SMALL_BYTES_MAX))
    except ManifestError as error:
        raise ManifestError("", f"{path}: {error}{remedy and f'; {remedy}'}") from None


def parse_key(text: str, params: Params) -> CacheKey:
    """Return a cache key that somebody named."""
    try:
        return CacheKey.parse(text)
    except ValueError as error:
        known = ", ".join(build.cache_key for build in params.builds.values())
        raise ManifestError("", f"{error}; name one such as {known}") from None


def cache_files(workspace: Workspace, params: Params, key: CacheKey | str) -> list[str]:
    """Return the path of every file of an engine cache, in build/ and in the cache's archive."""
    folder = workspace.caches / str(key)
    manifest = read_cache(folder, "run `dvc repro`")
    models = {entry.onnx_model for entry in manifest.engine_files.values() if entry.onnx_model}
    is_built = str(key) in {build.cache_key for build in params.builds.values()}
    if is_built and (differing := models ^ set(params.models)):
        expected = f"{folder}: expected the models of params.yaml, seen a difference in {', '.join(sorted(differing))}"
        raise ManifestError("", f"{expected}; run `dvc repro`")
    return [f"{cache_path(key)}/{name}" for name in ("manifest.json", *manifest.engine_files)]


def holds_more(file: EngineFile, other: EngineFile) -> bool:
    """Return whether a file that models share, which grows with each of them, replaces another; the order is total."""
    if file.digest is None or other.digest is None:
        return other.digest is None
    return (file.digest.bytes, file.digest.sha256) > (other.digest.bytes, other.digest.sha256)
