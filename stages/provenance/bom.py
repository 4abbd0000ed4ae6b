"""The bill of materials of a publication: its models with their cards and licences, its archives, and the libraries.

Source: CycloneDX 1.6 (ECMA-424), with components of type machine-learning-model.
"""

import uuid
from collections.abc import Iterator, Mapping

from morphstream.artifact.digest import Digest
from morphstream.artifact.fields import Object, dump
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest, EngineManifest, ModelEntry, ModelsManifest
from morphstream.artifact.vocabulary import archive_path
from stages.params import Params
from stages.provenance.inputs import Inputs, Library

BOM = "archives/bom.cdx.json"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:morphstream:pipeline")
_TASKS = {
    "detector": "face detection",
    "embedder": "face recognition",
    "swapper": "face swapping",
    "occluder": "occlusion masking",
    "parser": "face parsing",
    "landmarker": "face landmark detection",
    "person_detector": "person detection",
    "restorer": "face restoration",
}


def bom(
    params: Params,
    models: ModelsManifest | None,
    archives: ArchivesManifest | None,
    caches: Mapping[str, EngineManifest],
    inputs: Inputs,
) -> str:
    """Return the bill of materials as JSON text; engine caches by cache key say which models are in an archive."""
    listed, packed = (models.models if models else {}), (archives.archives if archives else {})
    components = [
        *(_model(name, entry, params, models) for name, entry in sorted(listed.items())),
        *(_archive(name, entry) for name, entry in sorted(packed.items())),
        *map(_library, inputs.libraries),
    ]
    tool = {"type": "application", "bom-ref": "pipeline", "name": "morphstream-models", "version": inputs.version}
    body: Object = {
        "metadata": {
            "tools": {"components": [tool]},
            "component": {"type": "data", "bom-ref": "publication", "name": "MorphStream Models"},
        },
        "components": components,
        "dependencies": list(_dependencies(listed, packed, caches, inputs)),
    }
    head: Object = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, dump(body))}",
        "version": 1,
    }
    return dump({**head, **body})


def _model(name: str, entry: ModelEntry, params: Params, models: ModelsManifest | None) -> Object:
    shapes = params.models[name].inputs if name in params.models else {}
    inputs = [{"format": f"tensor {port} {'x'.join(map(str, shape))}"} for port, shape in shapes.items()]
    origin = entry.origin or (models.origin if models else "")
    properties = {
        "morphstream:file": entry.file,
        "morphstream:group": entry.group,
        "morphstream:origin": origin,
        "morphstream:role": entry.role,
    }
    card: Object = {"modelParameters": {"task": _TASKS[entry.role], **({"inputs": inputs} if inputs else {})}}
    if origin == "kit":
        limits = ["A stand-in made by code, with the inputs and outputs of the model that it stands for."]
        card["considerations"] = {"technicalLimitations": limits}
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{name}",
        "name": name,
        "hashes": _hashes(entry.digest),
        "licenses": [{"license": {"name": entry.licence}}],
        "modelCard": card,
        "properties": [{"name": key, "value": value} for key, value in properties.items()],
    }


def _archive(name: str, entry: ArchiveEntry) -> Object:
    key = [{"name": "morphstream:cache_key", "value": str(entry.cache_key)}] if entry.cache_key else []
    return {
        "type": "file",
        "bom-ref": f"archive:{name}",
        "name": archive_path(name),
        "hashes": _hashes(entry.digest),
        **({"properties": key} if key else {}),
    }


def _library(library: Library) -> Object:
    licence = {"licenses": [{"license": {"name": library.licence}}]} if library.licence else {}
    named = {"type": "library", "bom-ref": library.purl, "name": library.name, "version": library.version}
    return {**named, **licence, "purl": library.purl}


def _hashes(digest: Digest) -> list[Object]:
    return [{"alg": "SHA-256", "content": digest.sha256}]


def _dependencies(
    models: Mapping[str, ModelEntry],
    archives: Mapping[str, ArchiveEntry],
    caches: Mapping[str, EngineManifest],
    inputs: Inputs,
) -> Iterator[Object]:
    """Yield what each archive was made of, and the publication of archives."""
    libraries = [library.purl for library in inputs.libraries]
    for name, entry in sorted(archives.items()):
        held = {model for model, one in models.items() if one.file in entry.files}
        if entry.cache_key and (cache := caches.get(str(entry.cache_key))):
            held |= cache.models.keys() & models.keys()
        yield {"ref": f"archive:{name}", "dependsOn": [*(f"model:{model}" for model in sorted(held)), *libraries]}
    yield {"ref": "publication", "dependsOn": [f"archive:{name}" for name in sorted(archives)]}
