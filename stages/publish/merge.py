"""Put our entries into a published manifest and keep those of others, as manifests/README.md specifies.

Pure: from the published text and our manifest to the text to publish. An entry of others stays as it was written.
"""

import json
from collections.abc import Collection, Mapping

from morphstream.artifact import fields
from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.manifest import ArchivesManifest, EngineManifest, ModelsManifest
from morphstream.artifact.vocabulary import ARCHIVES, MODELS, RUNTIME_CACHE, archive_path
from morphstream.session.kept import name_of
from stages.caches import holds_more

Manifest = ModelsManifest | ArchivesManifest | EngineManifest
_TYPES: Mapping[str, type[Manifest]] = {MODELS: ModelsManifest, ARCHIVES: ArchivesManifest}
_KEYS: Mapping[type, str] = {ModelsManifest: "models", ArchivesManifest: "archives", EngineManifest: "engine_files"}


def read_manifest(path: str, text: str | bytes) -> Manifest:
    """Read the manifest that is published under a path."""
    return _TYPES.get(path, EngineManifest).from_json(text)


def named_files(path: str, manifest: Manifest) -> dict[str, Digest | None]:
    """Return what a manifest that is published under a path names: published files, and the digests it has of them."""
    if isinstance(manifest, ModelsManifest):
        return {model.file: model.digest for model in manifest.models.values()}
    if isinstance(manifest, ArchivesManifest):
        return {archive_path(name): archive.digest for name, archive in manifest.archives.items()}
    folder = path.rpartition("/")[0]
    return {f"{folder}/{name}": file.digest for name, file in manifest.engine_files.items()}


def merge(published: bytes | None, ours: Manifest, dropped: Collection[str] = ()) -> str:
    """Merge a manifest: our models and archives replace those of their names, our engines all of the same models.

    The published text is None where there is none. Published entries of dropped models aren't kept.
    """
    text, key = ours.to_json(), _KEYS[type(ours)]
    if not published:
        return text
    theirs, document, entries = type(ours).from_json(published), json.loads(text), json.loads(published)[key]
    if isinstance(theirs, EngineManifest) and isinstance(ours, EngineManifest):
        kept = _kept_files(theirs, ours, dropped)
        if theirs.toolchain != ours.toolchain:
            document.pop("toolchain", None)  # what built ours, or theirs, is unknown
    else:
        kept = set(getattr(theirs, key)) - set(getattr(ours, key)) - set(dropped)
    if not kept:
        return text
    document[key] = dict(sorted({**document[key], **{name: entries[name] for name in kept}}.items()))
    return fields.dump(document)


def _kept_files(theirs: EngineManifest, ours: EngineManifest, dropped: Collection[str]) -> set[str]:
    if theirs.cache_key != ours.cache_key:
        raise ManifestError("cache_key", f"expected {ours.cache_key}, seen {theirs.cache_key}")
    mine, replaced = ours.engine_files, {*ours.models, *dropped}
    others = theirs.files_where(lambda file: file.onnx_model not in replaced)
    kept = {name for name, file in others.items() if file.onnx_model and name not in mine}
    if theirs.toolchain == ours.toolchain:
        shared = {name: file for name, file in others.items() if not file.onnx_model}
        kept |= {name for name, file in shared.items() if name not in mine or holds_more(file, mine[name])}
    elif kept and theirs.toolchain is not None and ours.toolchain is not None:
        seen = f"which built engines of others there, seen {dict(ours.toolchain)}"
        remedy = "build with it, or publish every model of the cache at once"
        raise ManifestError("toolchain", f"expected {dict(theirs.toolchain)}, {seen}; {remedy}")
    digests = [file.digest for file in (*mine.values(), *(others[name] for name in kept)) if file.digest]
    engines = tuple(name_of(digest, "") for digest in digests)
    return {name for name in kept if others[name].kind != RUNTIME_CACHE or name.startswith(engines)}
