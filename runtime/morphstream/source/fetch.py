"""Fetch an engine cache from a source, in one pass: an archive, or single files.

Digests are computed on the way, and no more bytes are read than the manifests name.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Event
from typing import BinaryIO, cast

from morphstream.artifact import fields
from morphstream.artifact.archive import unpack
from morphstream.artifact.digest import CHUNK_BYTES, Digest
from morphstream.artifact.errors import AbsentError, DigestMismatchError, FetchError, ManifestError
from morphstream.artifact.manifest import ArchiveEntry
from morphstream.artifact.target import CacheKey
from morphstream.artifact.tarzst import Hasher
from morphstream.artifact.vocabulary import MANIFEST, archive_path, cache_path
from morphstream.source.publication import PublishedManifest, files_in_archive
from morphstream.source.source import Source
from morphstream.source.transfer import Transfer

DELIVERED = "engines"  # folder of files that came with a manifest
LARGE_BYTES = 16 << 20  # size of a file that is fetched alone, over all the connections of its source
_AT_ONCE = 8  # small files, as a request takes longer than their bytes
Fetch = Callable[[Mapping[str, Digest], Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An engine cache that can be installed.

    Attributes:
        archive: What it comes from: the name of an archive, or ``trt_cache/CACHE_KEY``.
        cache_key: The published name of the cache.
        where: Names it in a refusal.
        open: Returns the published manifest; files that come with it go to a new folder DELIVERED in a given one.
        fetch: Brings files, by name and digest, into a given folder, be it open or not.
        files: Digest of each published file, the manifest among them; empty where they are known only after `open`.
        is_trusted: The manifest is signed as the configured root says, or was made by a builder on this machine.
    """

    archive: str
    cache_key: CacheKey
    where: str
    open: Callable[[Path], PublishedManifest]
    fetch: Fetch
    files: Mapping[str, Digest] = field(default_factory=dict)
    is_trusted: bool = False


def archive_delivery(name: str, entry: ArchiveEntry, source: Source, *, is_trusted: bool = False) -> Delivery:
    """Return the delivery of an archive, which is read in one pass."""
    key, files = files_in_archive(name, entry)

    def unpack_to(staging: Path) -> Path:
        folder, transfer, path = staging / "archive", Transfer(), archive_path(name)
        with (
            transfer.begin(f"boot {name}", entry.digest.bytes),
            _opened(source, path, entry.digest, transfer) as stream,
        ):
            unpack(stream, entry.files, folder, archive=entry.digest, is_synced=True)
        return folder / cache_path(key)

    def open_archive(staging: Path) -> PublishedManifest:
        cache = unpack_to(staging).rename(staging / DELIVERED)
        published = PublishedManifest.parse((cache / MANIFEST).read_bytes(), key, f"{name}, {MANIFEST}")
        if odd := {file for file, _ in published.files.items() ^ files.items()}:
            where = fields.path_of("archives", name, "files", f"{cache_path(key)}/{min(odd)}")
            raise ManifestError(where, f"expected the digest that its {MANIFEST} says, seen another or none")
        return published

    def fetch(wanted: Mapping[str, Digest], folder: Path) -> None:
        cache = unpack_to(folder.parent)
        for file in wanted:
            (cache / file).rename(folder / file)

    where = f"{source}, {name}"
    return Delivery(
        archive=name,
        cache_key=key,
        where=where,
        open=open_archive,
        fetch=fetch,
        files=files,
        is_trusted=is_trusted,
    )


def engine_delivery(published: PublishedManifest, source: Source, *, is_trusted: bool = False) -> Delivery:
    """Return the delivery of the single files that a manifest names."""
    key, files = published.manifest.cache_key, published.files
    where, fetch = f"{source}, {key}", partial(fetch_engines, source, key, transfer=Transfer())
    return Delivery(
        archive=cache_path(key),
        cache_key=key,
        where=where,
        open=lambda _: published,
        fetch=fetch,
        files=files,
        is_trusted=is_trusted,
    )


def fetch_engines(
    source: Source, key: CacheKey, files: Mapping[str, Digest], folder: Path, *, transfer: Transfer
) -> None:
    """Fetch files of an engine cache: large ones one after the other, small ones several at once.

    Args:
        source: Gives their bytes.
        key: Cache key of the files in the published layout.
        files: Digest of each, by its name there.
        folder: Where to write them, under the same names.
        transfer: Counts the bytes that have come, and may be cancelled.
    """
    has_failed, total_bytes = Event(), sum(digest.bytes for digest in files.values())
    large = {name: digest for name, digest in files.items() if digest.bytes > LARGE_BYTES}
    small = {name: digest for name, digest in files.items() if name not in large}
    with transfer.begin(f"fetch {key}", total_bytes), ThreadPoolExecutor() as hashing:

        def fetch(file: tuple[str, Digest]) -> None:
            (name, digest), path = file, f"{cache_path(key)}/{file[0]}"
            with _opened(source, path, digest, transfer) as stream, (folder / name).open("xb") as out:
                _copy(stream, out, name, digest, Hasher(hashing), has_failed)

        for some, at_once in ((large, 1), (small, _AT_ONCE)):
            with ThreadPoolExecutor(at_once) as pool:
                try:
                    list(pool.map(fetch, some.items()))
                except BaseException:
                    has_failed.set()
                    raise


def _copy(stream: BinaryIO, out: BinaryIO, name: str, digest: Digest, hasher: Hasher, has_failed: Event) -> None:
    """Copy a file, one byte more than its size at most, and verify it; another file's failure ends it early."""
    while not has_failed.is_set() and hasher.bytes <= digest.bytes:
        if not (data := stream.read(min(CHUNK_BYTES, digest.bytes + 1 - hasher.bytes))):
            break
        hasher.update(data)
        out.write(data)
    if hasher.digest() != digest:
        raise DigestMismatchError(name, digest, hasher.digest())


@contextmanager
def _opened(source: Source, path: str, digest: Digest, transfer: Transfer) -> Iterator[BinaryIO]:
    """Open a file of a source, whose size must be right where the source knows it."""
    name = PurePosixPath(path).name
    try:
        opened = source.open(path)
    except AbsentError as error:  # a manifest names it: this is more than a publication that doesn't exist
        raise FetchError(*error.args) from error
    with opened as stream, transfer.on_cancel(stream.close):
        if (size := getattr(stream, "total_bytes", digest.bytes)) != digest.bytes:
            raise DigestMismatchError(name, f"{digest.bytes} bytes", f"{size} bytes")
        yield cast("BinaryIO", _Fetched(stream, name, transfer))


class _Fetched:
    """A source's stream, whose bytes are counted and whose errors are the source's and not the store's."""

    def __init__(self, stream: BinaryIO, name: str, transfer: Transfer) -> None:
        self._stream, self._name, self._transfer = stream, name, transfer

    def read(self, size: int = -1, /) -> bytes:
        """Return up to that many bytes, none at the end."""
        try:
            data = self._stream.read(size)
        except OSError as error:
            seen = error.strerror or str(error)
            raise FetchError(f"{self._name}: expected its bytes, seen {seen}; fetch it again") from error
        self._transfer.add(len(data))
        return data
