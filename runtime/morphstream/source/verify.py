"""Verify a whole publication: its signatures, every document, and the bytes of every file that a document names."""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from morphstream.artifact.digest import CHUNK_BYTES, Digest
from morphstream.artifact.errors import DigestMismatchError, MorphstreamError
from morphstream.artifact.manifest import ModelsManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import ARCHIVES, MANIFEST, MODELS, archive_path
from morphstream.source.progress import progress
from morphstream.source.publication import Publication

_AT_ONCE = 4
_CACHES = "trt_cache/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found of a publication.

    Attributes:
        documents: Those that were verified, by path.
        files: How many files they name; 0 where these weren't read.
        bytes: Of these.
        faults: What is wrong, a line each; empty where all is as it was signed.
    """

    documents: tuple[str, ...]
    files: int = 0
    bytes: int = 0
    faults: tuple[str, ...] = field(default=())


def verify_publication(publication: Publication, *, reads_files: bool = True) -> Verification:
    """Verify a publication, which must be signed.

    Args:
        publication: The publication.
        reads_files: Compute the digest of every file, too, of which each is read once.

    Raises:
        UntrustedError, FetchError: Its list of documents isn't signed as it should be, or can't be read.
    """
    documents, faults = sorted(publication.documents()), list[str]()
    named: dict[str, Digest] = {}
    for path in documents:
        try:
            named |= _files_of(publication, path)
        except MorphstreamError as error:
            faults.append(str(error))
    if reads_files:
        with (
            progress(f"verify {publication.source}", sum(digest.bytes for digest in named.values())) as add,
            ThreadPoolExecutor(_AT_ONCE) as pool,
        ):
            read = partial(_fault_of, publication, add)
            faults += filter(None, pool.map(read, named, named.values()))
    return Verification(
        documents=tuple(documents),
        files=len(named) * reads_files,
        bytes=sum(digest.bytes for digest in named.values()) * reads_files,
        faults=tuple(faults),
    )


def _files_of(publication: Publication, path: str) -> Mapping[str, Digest]:
    """Return the files that a document names, by published path; raises as reading it does."""
    if path == ARCHIVES:
        return {archive_path(name): entry.digest for name, entry in publication.archives().items()}
    if path == MODELS:
        models = ModelsManifest.from_json(publication.read(path)).models
        return {model.file: model.digest for model in models.values()}
    folder, _, name = path.rpartition("/")
    if name == MANIFEST and folder.startswith(_CACHES):
        with suppress(ValueError):
            files = publication.manifest(CacheKey.parse(folder.removeprefix(_CACHES))).files
            return {f"{folder}/{file}": digest for file, digest in files.items() if file != MANIFEST}
    publication.read(path)
    return {}


def _fault_of(publication: Publication, add: Callable[[int], None], path: str, digest: Digest) -> str | None:
    """Return what is wrong with a file, or None."""
    hasher, size = hashlib.sha256(), 0
    try:
        with publication.source.open(path) as stream:
            while size <= digest.bytes and (data := stream.read(min(CHUNK_BYTES, digest.bytes + 1 - size))):
                hasher.update(data)
                size += len(data)
                add(len(data))
    except (MorphstreamError, OSError) as error:
        return f"{path}: {error}"
    seen = Digest(hasher.hexdigest(), size)
    return None if seen == digest else str(DigestMismatchError(path, digest, seen))
