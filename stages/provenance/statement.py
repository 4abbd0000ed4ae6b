"""The statement of an archive: what it is, of what it was built, and by what.

Source: in-toto Statement v1 (in-toto/attestation, spec/v1/statement.md); SLSA Provenance v1 (slsa.dev/spec/v1.0).
"""

from collections.abc import Iterator, Mapping

from morphstream.artifact.digest import Digest
from morphstream.artifact.fields import Object, dump
from morphstream.artifact.manifest import ArchiveEntry, ModelEntry
from morphstream.artifact.vocabulary import archive_path
from stages.params import Params
from stages.provenance.inputs import Inputs

BUILD_TYPE = "urn:morphstream:pipeline:archive:1"
BUILDER = "urn:morphstream:pipeline"
_SUFFIX = ".tar.zst"


def statement_path(archive: str) -> str:
    """Return the published path of the statement of an archive, from the archive's name in a manifest."""
    return f"{archive_path(archive).removesuffix(_SUFFIX)}.intoto.json"


def statement(
    name: str,
    entry: ArchiveEntry,
    params: Params,
    models: Mapping[str, ModelEntry],
    inputs: Inputs,
    *,
    merged_with: str | None = None,
) -> str:
    """Return the statement of an archive as JSON text.

    Args:
        name: Its name in a manifest.
        entry: What it is and holds.
        params: Choices that it was built by.
        models: The models that it was built from.
        inputs: What else.
        merged_with: The published commit whose files are in it beside ours; None for none.
    """
    build = next((one for one in params.builds.values() if f"{one.archive}{_SUFFIX}" == name), None)
    external: Object = {"archive": name, "cacheKey": str(entry.cache_key) if entry.cache_key else None}
    if build is not None:
        external |= {"target": build.target.name, "toolchain": dict(sorted(build.target.target.toolchain.items()))}
    external["packing"] = {"zstandard": params.archive.zstandard, "level": str(params.archive.level)}
    subject = [_described(archive_path(name), entry.digest)]
    subject += [_described(path, digest) for path, digest in sorted(entry.files.items())]
    dependencies = [*_sources(inputs), *_models(models), *_libraries(inputs)]
    if merged_with:
        dependencies.append({"name": "published files of others", "digest": {"gitCommit": merged_with}})
    definition = {"buildType": BUILD_TYPE, "externalParameters": external, "resolvedDependencies": dependencies}
    details = {"builder": {"id": BUILDER, "version": {"morphstream": inputs.version}}}
    return dump(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subject,
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {"buildDefinition": definition, "runDetails": details},
        }
    )


def _described(name: str, digest: Digest) -> Object:
    return {"name": name, "digest": {"sha256": digest.sha256}}


def _sources(inputs: Inputs) -> Iterator[Object]:
    if inputs.commit:
        changed = {"annotations": {"isModified": "true"}} if inputs.is_modified else {}
        yield {"name": "source", "digest": {"gitCommit": inputs.commit}, **changed}
    for path, digest in sorted(inputs.files.items()):
        yield _described(path, digest)


def _models(models: Mapping[str, ModelEntry]) -> Iterator[Object]:
    for name, model in sorted(models.items()):
        yield {**_described(model.file, model.digest), "annotations": {"model": name, "licence": model.licence}}


def _libraries(inputs: Inputs) -> Iterator[Object]:
    for library in inputs.libraries:
        yield {"name": library.name, "uri": library.purl}
