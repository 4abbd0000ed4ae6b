"""Put our entries into a published manifest and keep those of others, as manifests/README.md specifies.

Pure: from the published text and our manifest to the text to publish. An entry of others stays as it was written.
"""

import json
from collections.abc import Collection

from morphstream.artifact import fields
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.listings import ArchivesManifest, ModelsManifest
from morphstream.artifact.manifest import EngineManifest
from stages.caches import holds_more


def merge_models(published: bytes | None, ours: ModelsManifest, dropped: Collection[str] = ()) -> str:
    """Merge manifests/models.json: our models replace those of their names.

    Args:
        published: The text that is published; None where there is none.
        ours: What we publish.
        dropped: Models whose published entries aren't kept.
    """
    names = ModelsManifest.from_json(published).models if published else ()
    return _merged(published, ours.to_json(), "models", kept=set(names) - set(ours.models) - set(dropped))


def merge_archives(published: bytes | None, ours: ArchivesManifest) -> str:
    """Merge manifests/archives.json: our archives replace those of their names; raises as `merge_models`."""
    names = ArchivesManifest.from_json(published).archives if published else ()
    return _merged(published, ours.to_json(), "archives", kept=set(names) - set(ours.archives))


def merge_engines(published: bytes | None, ours: EngineManifest, dropped: Collection[str] = ()) -> str:
    """Merge a cache's manifest.json: our engines replace all of the same models.

    Args:
        published: The text that is published; None where there is none.
        ours: What we publish.
        dropped: Models whose published entries aren't kept.
    """
    theirs = EngineManifest.from_json(published) if published else ours
    if theirs.cache_key != ours.cache_key:
        raise ManifestError("cache_key", f"expected {ours.cache_key}, seen {theirs.cache_key}")
    replaced = {file.onnx_model for file in ours.engine_files.values() if file.onnx_model} | set(dropped)
    others = {name: file for name, file in theirs.engine_files.items() if file.onnx_model not in replaced}
    kept = {name for name, file in others.items() if file.onnx_model and name not in ours.engine_files}
    if theirs.toolchain == ours.toolchain:
        mine, shared = ours.engine_files, {name: file for name, file in others.items() if not file.onnx_model}
        kept |= {name for name, file in shared.items() if name not in mine or holds_more(file, mine[name])}
    text = _merged(published, ours.to_json(), "engine_files", kept=kept)
    return _with_one_toolchain(text, ours, theirs) if kept else text


def _with_one_toolchain(text: str, ours: EngineManifest, theirs: EngineManifest) -> str:
    if theirs.toolchain == ours.toolchain:
        return text
    if theirs.toolchain is not None and ours.toolchain is not None:
        expected = (
            f"expected {dict(theirs.toolchain)}, which built engines of others there, seen {dict(ours.toolchain)}"
        )
        raise ManifestError("toolchain", f"{expected}; build with it, or publish every model of the cache at once")
    document = json.loads(text)
    document.pop("toolchain", None)  # what built the others is unknown
    return fields.dump(document)


def _merged(published: bytes | None, ours: str, key: str, *, kept: Collection[str]) -> str:
    if not kept or not published:
        return ours
    theirs, document = json.loads(published)[key], json.loads(ours)
    entries = {**document[key], **{name: theirs[name] for name in kept}}
    document[key] = dict(sorted(entries.items()))
    return fields.dump(document)
