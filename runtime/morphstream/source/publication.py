"""Read what a source publishes, for every reader of it: manifests as bounded, checked bytes with their digest.

A refusal names the source and the file.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import AbsentError, FetchError, ManifestError, MorphstreamError, UntrustedError
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest, EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import ARCHIVES, MANIFEST, cache_path
from morphstream.source.signed import REMEDY, Verifier
from morphstream.source.source import SMALL_BYTES_MAX, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedManifest:
    """The manifest of an engine cache, byte for byte as it was published.

    Attributes:
        text: Its bytes.
        digest: Digest of these; it identifies the publication.
        manifest: Their meaning.
        files: Digest of each file of the engine cache, the manifest among them, by name.
    """

    text: bytes
    digest: Digest
    manifest: EngineManifest
    files: Mapping[str, Digest]

    @classmethod
    def parse(cls, text: bytes, key: CacheKey, what: str) -> Self:
        """Check the bytes of a manifest, which are to be of a cache key; a text names them in a refusal."""
        with _naming(what):
            manifest = EngineManifest.from_json(text)
            if manifest.cache_key != key:
                raise ManifestError("cache_key", f"expected {key}, as published, seen {manifest.cache_key}")
            digest = digest_of(text)
            return cls(text=text, digest=digest, manifest=manifest, files={**manifest.digests, MANIFEST: digest})


class Publication:
    """What a source publishes: every document of it that is read is read here, and verified where signatures are asked.

    Attributes:
        source: The source.
        is_remote: The source isn't on this machine; offline, that is refused.
        is_signed: Its documents are verified by their signatures.
        absent: Why there is no list of archives, once that is known; the source may have single engines all the same.
    """

    def __init__(self, source: Source, *, trust: Verifier | None, is_offline: bool = False) -> None:
        """Name a source; nothing is read yet.

        Args:
            source: The source.
            trust: Says which documents are signed; None where no root was ever configured.
            is_offline: Refuse a source elsewhere.
        """
        self.source, self.is_remote = source, bool(getattr(source, "is_remote", False))
        self.is_signed = trust is not None
        self.absent: AbsentError | None = None
        self._trust, self._is_offline = trust, is_offline
        self._documents: Mapping[str, Digest] | None = None
        self._archives: Mapping[str, ArchiveEntry] | MorphstreamError | None = None

    def read(self, path: str) -> bytes:
        """Return a document, such as a manifest.

        Raises:
            AbsentError: There is none; where documents are verified, none that is signed.
            UntrustedError: It isn't as it was signed; or as of `Verifier.documents`.
            FetchError: It can't be read.
        """
        if self.is_remote and self._is_offline:
            expected = f"{self.source}: expected a source on this machine, seen one elsewhere"
            raise FetchError(f"{expected}; boot without offline")
        if self._trust is None:
            return self.source.read(path)
        if (signed := self.documents().get(path)) is None:
            expected = f"{self.source}: expected {path} among the documents that are signed"
            raise AbsentError(f"{expected}, seen no such document; publish it or name another source")
        try:
            text = self.source.read(path)
        except AbsentError as error:
            raise UntrustedError(f"{self.source}: expected {path}, which is signed, seen none: {error}") from error
        if (seen := digest_of(text)) != signed:
            raise UntrustedError(f"{self.source}: expected {path} as it is signed, {signed}, seen {seen}; {REMEDY}")
        return text

    def documents(self) -> Mapping[str, Digest]:
        """Return the digest of each document that is signed, by path; none where that isn't asked. Raises as `read`."""
        if self._documents is None:
            self._documents = self._trust.documents(self.source) if self._trust else {}
        return self._documents

    def manifest(self, key: CacheKey) -> PublishedManifest:
        """Return the manifest of an engine cache; raises as `read`, and ManifestError for one of another format."""
        path = f"{cache_path(key)}/{MANIFEST}"
        return PublishedManifest.parse(self.read(path), key, f"{self.source}, {path}")

    def archives(self) -> Mapping[str, ArchiveEntry]:
        """Return the archives by name; none where the source has no list, and the same error where it gives none."""
        if self._archives is None:
            try:
                text = self.read(ARCHIVES)
                with _naming(f"{self.source}, {Path(ARCHIVES).name}"):
                    self._archives = ArchivesManifest.from_json(text).archives
            except AbsentError as error:
                self.absent, self._archives = error, {}
            except (FetchError, ManifestError, UntrustedError) as error:
                self._archives = error
        if isinstance(self._archives, MorphstreamError):
            raise self._archives
        return self._archives

    def cache_keys(self) -> dict[CacheKey, str]:
        """Return the name of the archive of each engine cache, by cache key."""
        first = reversed(list(self.archives().items()))  # of several archives for one key the first is returned
        return {entry.cache_key: name for name, entry in first if entry.cache_key}


def files_in_archive(name: str, entry: ArchiveEntry) -> tuple[CacheKey, dict[str, Digest]]:
    """Return the cache key of an archive's engine cache, and the digest of each of its files by name, manifest too."""
    key, prefix = entry.cache_key, f"{cache_path(entry.cache_key)}/"
    if key is None or (digest := entry.files.get(f"{prefix}{MANIFEST}")) is None:
        raise ManifestError("", f"{name}: expected an engine cache and its {MANIFEST}, seen none")
    if digest.bytes > SMALL_BYTES_MAX:
        seen = f"{digest.bytes} bytes"
        raise ManifestError("", f"{name}: expected {MANIFEST} of {SMALL_BYTES_MAX} bytes at most, seen {seen}")
    return key, {path.removeprefix(prefix): digest for path, digest in entry.files.items()}


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Name a document in every refusal of the block."""
    try:
        yield
    except ManifestError as error:
        raise ManifestError(error.where, f"{what}: {error.message}") from error
