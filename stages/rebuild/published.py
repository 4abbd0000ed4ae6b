"""What is published, to be compared with: of build/, or of a repository at a revision."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import AbsentError, MorphstreamError
from morphstream.artifact.manifest import ArchiveEntry, EngineManifest, ModelEntry, ModelsManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import MODELS
from morphstream.source.folder import FolderSource
from morphstream.source.named import HUB, source_of
from morphstream.source.publication import Publication
from morphstream.store.trust import trust_of
from stages.params import Params
from stages.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A publication's manifests, and the folder with its files where that is on this machine."""

    publication: Publication
    folder: Path | None

    @classmethod
    def of(cls, workspace: Workspace) -> "Published":
        """Return that of build/."""
        return cls(publication=Publication(FolderSource(workspace.build), trust=None), folder=workspace.build)

    @classmethod
    def at(cls, name: str, folder: Path) -> "Published":
        """Return that of ``hub:ORG/REPO[@REV]``, signed where a root is configured; a folder keeps what was verified.

        Raises:
            MorphstreamError: That is no name of a repository or of a revision, or no endpoint is named.
        """
        try:
            source = source_of(name)
        except ValueError as error:
            raise MorphstreamError(f"{error}; name it as hub:ORG/REPO or hub:ORG/REPO@REVISION") from None
        return cls(publication=Publication(source, trust=trust_of(folder)), folder=None)

    def models(self) -> Mapping[str, ModelEntry]:
        """Return the published models by name."""
        return ModelsManifest.from_json(self.publication.read(MODELS)).models

    def cache(self, key: CacheKey) -> EngineManifest | None:
        """Return the manifest of an engine cache; None where there is none."""
        try:
            return self.publication.manifest(key).manifest
        except AbsentError:
            return None

    def archive(self, name: str) -> ArchiveEntry | None:
        """Return an archive by its file name; None where there is none."""
        return self.publication.archives().get(name)

    def digest(self, path: str, named: Digest | None) -> Digest | None:
        """Return a file's digest: where it is on this machine that of its bytes, and None where it is absent."""
        if self.folder is None:
            return named
        file = self.folder / path
        return digest_of_file(file) if file.is_file() else None


def targets_of(params: Params, what: str) -> tuple[list[str], list[str]]:
    """Return the targets and the archives of models that are meant: by a target's name, an archive's, or of all.

    Raises:
        MorphstreamError: There is nothing of that name.
    """
    if what.startswith(HUB):
        return list(params.builds), list(params.model_archives)
    name = what.removesuffix(".tar.zst")
    targets = [one for one, build in params.builds.items() if name in (one, build.archive, build.cache_key)]
    archives = [one for one in params.model_archives if one == name]
    if not targets and not archives:
        packed = (build.archive for build in params.builds.values())
        known = ", ".join([*params.builds, *params.model_archives, *packed])
        raise MorphstreamError(f"rebuild: expected one of {known}, or hub:ORG/REPO, seen {what!r}; name one of these")
    return targets, archives
