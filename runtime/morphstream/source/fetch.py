"""Fetch from a source into a folder, in one pass: every digest computed on the way, and no byte more than was said."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import BinaryIO, cast

from morphstream.artifact.archive import unpack
from morphstream.artifact.digest import CHUNK_BYTES, Digest
from morphstream.artifact.errors import AbsentError, DigestMismatchError, FetchError
from morphstream.artifact.listings import ArchiveEntry
from morphstream.artifact.target import CacheKey
from morphstream.artifact.tarzst import Hasher
from morphstream.artifact.vocabulary import archive_path, cache_path
from morphstream.source.progress import Counted, progress
from morphstream.source.publication import PublishedManifest, read_unpacked
from morphstream.source.source import Source
from morphstream.source.transfer import Transfer

LARGE_BYTES = 16 << 20  # of a file that comes alone, over as many lines as its source has
_AT_ONCE = 8  # small ones, as asking takes longer than their bytes


def unpack_archive(name: str, entry: ArchiveEntry, source: Source, folder: Path) -> tuple[Path, PublishedManifest]:
    """Unpack the archive of an engine cache; return the folder of that, and its manifest.

    Args:
        name: Of the archive.
        entry: What it must be and hold.
        source: Gives its bytes.
        folder: Where to make that folder.

    Raises:
        ManifestError: Its manifest contradicts the entry.
        FetchError: The source can't give it.
        UnsafeArchiveError: It is broken, or holds other files than its entry says.
        DigestMismatchError: It, or a file in it, holds other bytes than its entry says.
        OSError: The folder can't be written.
    """
    with (
        _opened(source, archive_path(name), name, entry.digest, Transfer()) as stream,
        progress(f"boot {name}", entry.digest.bytes) as add,
    ):
        counted = cast("BinaryIO", Counted(stream, add))  # read alone is called
        unpack(counted, entry.files, folder / "archive", archive=entry.digest, is_synced=True)
    cache = folder / "archive" / cache_path(entry.cache_key)
    return cache, read_unpacked(name, entry, cache)


def fetch_engines(
    source: Source, key: CacheKey, files: Mapping[str, Digest], folder: Path, *, transfer: Transfer
) -> None:
    """Fetch files of an engine cache: large ones one after the other, small ones several at once.

    Args:
        source: Gives their bytes.
        key: Of the cache in the published layout.
        files: Digest of each, by its name there.
        folder: Where to write them, under the same names.
        transfer: Told how far it is; ends it where it is cancelled.

    Raises:
        FetchError: The source can't give one.
        DigestMismatchError: One holds other bytes than that.
        CancelledError: The transfer is cancelled.
        OSError: The folder can't be written.
    """
    failed = Event()
    transfer.total_bytes = sum(digest.bytes for digest in files.values())
    large = {name: digest for name, digest in files.items() if digest.bytes > LARGE_BYTES}
    small = {name: digest for name, digest in files.items() if name not in large}
    with progress(f"fetch {key}", transfer.total_bytes) as add, ThreadPoolExecutor() as hashing:

        def fetch(file: tuple[str, Digest]) -> None:
            (name, digest), hasher = file, Hasher(hashing)
            path = f"{cache_path(key)}/{name}"
            with _opened(source, path, name, digest, transfer) as stream, (folder / name).open("xb") as out:
                while not failed.is_set() and hasher.bytes <= digest.bytes:  # one byte more is read at most
                    if not (data := stream.read(min(CHUNK_BYTES, digest.bytes + 1 - hasher.bytes))):
                        break
                    hasher.update(data)
                    out.write(data)
                    add(len(data))
                    transfer.add(len(data))
            if hasher.digest() != digest:
                raise DigestMismatchError(name, digest, hasher.digest())

        for some, at_once in ((large, 1), (small, _AT_ONCE)):
            with ThreadPoolExecutor(at_once) as lines:
                try:
                    for _ in lines.map(fetch, some.items()):
                        pass
                except BaseException:
                    failed.set()
                    raise


@contextmanager
def _opened(source: Source, path: str, name: str, digest: Digest, transfer: Transfer) -> Iterator[BinaryIO]:
    """Open a file of a source, of the right size where that is said; faults of reading it are the source's."""
    try:
        opened = source.open(path)
    except AbsentError as error:  # a manifest names it, so that more is amiss than that nobody has published any
        raise FetchError(*error.args) from error
    with transfer.reading(opened) as stream:
        if (size := getattr(stream, "total_bytes", digest.bytes)) != digest.bytes:
            raise DigestMismatchError(name, f"{digest.bytes} bytes", f"{size} bytes")
        yield cast("BinaryIO", _Fetched(stream, name))


class _Fetched:
    """A source's stream, whose faults are the source's and not the store's."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many bytes, none at the end.

        Raises:
            FetchError: They can't be read.
        """
        try:
            return self._stream.read(size)
        except OSError as error:
            seen = error.strerror or str(error)
            raise FetchError(f"{self._name}: expected its bytes, seen {seen}; fetch it again") from error
