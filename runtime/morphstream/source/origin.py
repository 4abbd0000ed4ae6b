"""Where an artifact comes from: who built it, from what, and whether that is proven, by its statement and signature.

A statement is one of in-toto with SLSA provenance, beside its archive. What it says is proven where it is among the
documents that a trusted publisher signed, and its digest is that of the archive.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import AbsentError, MorphstreamError, UntrustedError, message_of
from morphstream.artifact.vocabulary import ARCHIVES, archive_path
from morphstream.source.folder import FolderSource
from morphstream.source.publication import Publication
from morphstream.source.signed import Verifier

SUFFIX = ".tar.zst"
_MOST_MODELS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactOrigin:
    """What is known of an archive.

    Attributes:
        archive: Its name in the manifest.
        verdict: ``proven``; ``described``, by a statement that nobody signed; ``unknown``; or ``contradicted``.
        why: The verdict's reason, in words.
        facts: What the statement says: builder, commit, target, toolchain, models with their licences.
    """

    archive: str
    verdict: str
    why: str
    facts: Mapping[str, object] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield it as lines of text, the verdict first."""
        yield f"{self.archive}: {self.verdict}: {message_of(self.why)}"
        for name, value in self.facts.items():  # as anybody wrote them: none may pass for a line of its own
            if isinstance(value, Mapping):
                yield from (f"  {name:9}  {message_of(f'{key}: {text}')}" for key, text in value.items())
            elif value is not None:
                yield f"  {name:9}  {message_of(value)}"


def publication_of(path: Path, trust: Verifier | None) -> tuple[Publication, str | None]:
    """Return the publication that a path is in, and the name of the archive that it is; None for all of them.

    Raises:
        AbsentError: It is neither a publication's folder nor an archive in one.
    """
    for folder in (path, *path.absolute().parents[:3]):
        if (folder / ARCHIVES).is_file():
            inside = None if folder == path else path.absolute().relative_to(folder.absolute()).as_posix()
            name = inside.removeprefix("archives/") if inside else None
            return Publication(FolderSource(folder), trust=trust), name
    expected = f"{path}: expected a publication's folder, or an archive in one"
    raise AbsentError(f"{expected}, seen no {ARCHIVES} beside it; name another, or hub:ORG/REPO")


def origins_of(publication: Publication, name: str | None = None, file: Path | None = None) -> list[ArtifactOrigin]:
    """Return where the archives of a publication come from, or one of them.

    Args:
        publication: The publication.
        name: An archive's name in its manifest; None for all.
        file: The archive's file, whose digest is computed; None to go by the manifest.

    Raises:
        AbsentError: There is no such archive.
        MorphstreamError: The manifest can't be read.
    """
    entries = publication.archives()
    if name is not None and name not in entries:
        raise AbsentError(f"{publication.source}: expected {name} in {ARCHIVES}, seen no such archive; name another")
    return [
        _origin(publication, one, entry.digest, digest_of_file(file) if file else entry.digest)
        for one, entry in entries.items()
        if name in (None, one)
    ]


def _origin(publication: Publication, name: str, listed: Digest, seen: Digest) -> ArtifactOrigin:
    if seen != listed:
        why = f"{ARCHIVES} has {listed}, the file is {seen}"
        return ArtifactOrigin(archive=name, verdict="contradicted", why=why)
    path = f"{archive_path(name).removesuffix(SUFFIX)}.intoto.json"
    try:
        statement = json.loads(publication.read(path))
        subject = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
        facts = dict(_facts(statement["predicate"]))
    except AbsentError:
        return ArtifactOrigin(archive=name, verdict="unknown", why=f"there is no {path}")
    except UntrustedError as error:
        return ArtifactOrigin(archive=name, verdict="contradicted", why=str(error))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return ArtifactOrigin(archive=name, verdict="contradicted", why=f"{path} is no statement: {error!r}")
    if subject.get(archive_path(name)) != seen.sha256:
        why = f"{path} is of sha256 {subject.get(archive_path(name))}, the archive is {seen}"
        return ArtifactOrigin(archive=name, verdict="contradicted", why=why, facts=facts)
    if publication.is_signed:
        return ArtifactOrigin(
            archive=name, verdict="proven", why="its statement is signed, and of its bytes", facts=facts
        )
    why = "its statement is of its bytes; whether it is signed isn't asked, as no root is configured"
    return ArtifactOrigin(archive=name, verdict="described", why=why, facts=facts)


def _facts(predicate: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    definition = predicate["buildDefinition"]
    external, dependencies = definition["externalParameters"], definition["resolvedDependencies"]
    by_name = {one["name"]: one for one in dependencies}
    builder = predicate["runDetails"]["builder"]
    yield "builder", " ".join([builder["id"], *(f"{name} {text}" for name, text in builder.get("version", {}).items())])
    source = by_name.get("source")
    changed = ", with changes that are in no commit" if source and "annotations" in source else ""
    yield "commit", f"{source['digest']['gitCommit']}{changed}" if source else "unknown: not built in a checkout"
    yield "target", external.get("target")
    yield "toolchain", external.get("toolchain")
    models = [one for one in dependencies if "licence" in one.get("annotations", {})]
    yield "models", {one["annotations"]["model"]: one["annotations"]["licence"] for one in models[:_MOST_MODELS]}


def check_is_right(origins: list[ArtifactOrigin]) -> None:
    """Check that nothing contradicts itself.

    Raises:
        MorphstreamError: Something does.
    """
    if wrong := [one for one in origins if one.verdict == "contradicted"]:
        raise MorphstreamError(f"{wrong[0].archive}: expected what was published, seen another: {wrong[0].why}")
