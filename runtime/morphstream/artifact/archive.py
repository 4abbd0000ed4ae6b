"""Deterministic tar.zst archives: pack, describe, unpack.

Conventions, here and for every archive of the project:

* Names are relative POSIX paths; the tar is a function of the files, as `tarzst` defines it.
* The compressed bytes depend on the level and the exact zstandard version too, but not on the number of
  threads. So content is identified by the digests of the tar and of each file, transport by the archive's.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import DigestMismatchError, UnsafeArchiveError
from morphstream.artifact.regular_file import open_regular
from morphstream.artifact.staged import staged_file
from morphstream.artifact.tarzst import AHEAD, HASHING_THREADS, Hasher, Reader, Source, Writer, check_names

LEVELS = range(1, 20)  # above, windows grow, and at 22 zstd turns on long-distance matching


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What an archive is and holds: digests of its compressed bytes, of its tar, and of each file by name."""

    archive: Digest
    tar: Digest
    files: dict[str, Digest]


def pack(files: Mapping[str, Path], archive: Path, *, level: int, threads: int) -> Packed:
    """Write files into an archive, hashed while writing; what was there before stays until the new one is complete.

    What a pack of this name that was killed left beside the archive is removed.

    Args:
        files: The source of each file, by its name in the archive; each is read once.
        archive: Where to write.
        level: zstd level, 1 to 19.
        threads: Compressing threads, 1 or more.
    """
    if level not in LEVELS or threads < 1:
        raise ValueError(f"expected level 1 to 19 and 1 thread or more, seen {level} and {threads}")
    check_names(files)
    with staged_file(archive) as out, ThreadPoolExecutor(HASHING_THREADS) as pool:
        writer = Writer(out, pool, level=level, threads=threads)
        digests = {name: writer.add(name, files[name]) for name in sorted(files)}
        writer.finish()
        out.flush()
        os.fsync(out.fileno())
    return Packed(archive=writer.archive.digest(), tar=writer.tar.digest(), files=digests)


def describe(archive: Path) -> Packed:
    """Read an archive in one pass and return what it is and holds, as `pack` did."""
    with open_regular(archive) as stream, ThreadPoolExecutor(1) as own, ThreadPoolExecutor(HASHING_THREADS - 1) as pool:
        source, tar = Source(stream, own), Hasher(pool)
        reader = Reader(source, archive.name, tar)
        files = {}
        for member in reader.members():
            hasher = Hasher(pool)
            for chunk in reader.chunks(member.size):
                hasher.update(chunk)
            files[member.name] = hasher.digest()
        check_names(files)
        return Packed(archive=source.archive.digest(), tar=tar.digest(), files=files)


def unpack(
    stream: BinaryIO,
    files: Mapping[str, Digest],
    folder: Path,
    *,
    archive: Digest | None = None,
    is_synced: bool = False,
) -> None:
    """Write exactly the expected files of an archive into a folder, verified; on any error it is left empty.

    Args:
        stream: The compressed bytes, read once, to their end.
        files: Digest of each expected file, by its name in the archive.
        folder: A new or empty folder that nobody else writes to.
        archive: Digest of the compressed bytes; when given, one byte more is read at most.
        is_synced: Wait until every file is on the disk; each is synced while the next one comes.
    """
    check_names(files)
    folder.mkdir(exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"expected an empty folder, seen files in {folder}; give a new one")
    try:
        with ThreadPoolExecutor(1) as own, ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as syncing:
            source = Source(stream, own, archive)
            paths = _unpacked(Reader(source, "archive"), files, folder, pool)
            synced = [syncing.submit(sync, path) for path in paths if is_synced]
            source.verify()
            for future in synced:
                future.result()
    except BaseException:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        raise


def _unpacked(reader: Reader, files: Mapping[str, Digest], folder: Path, pool: Executor) -> Iterator[Path]:
    """Write the files of an archive, and yield each when it is complete and right."""
    missing = dict(files)
    for member in reader.members():
        name, size, mode = member
        expected = missing.pop(name, None)
        if not expected or expected.bytes != size:
            wanted = f"{expected.bytes} bytes" if expected else "no such file"
            raise UnsafeArchiveError(f"{name}: expected {wanted}, seen {size} bytes; fetch or pack it again")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hasher = Hasher(pool, AHEAD)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            for chunk in reader.chunks(size):
                hasher.update(chunk)
                file.write(chunk)
        if hasher.digest() != expected:
            raise DigestMismatchError(name, expected, hasher.digest())
        yield path
    if missing:
        raise UnsafeArchiveError(f"archive: expected {sorted(missing)} too, seen its end; pack it again")


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
