"""The bytes of a tar.zst, written and read in one pass each, with hashing in threads beside.

Convention: a tar is a function of its files. Names ascend, every member is a regular file, mtime, uid and gid
are 0, owner names are empty, the mode is 0644, or 0755 where the owner may execute the file, long names are in PAX
headers, a record has 10240 bytes.
Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block".
"""

import hashlib
import re
import stat
import tarfile
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

import zstandard

from morphstream.artifact.digest import CHUNK_BYTES, Digest
from morphstream.artifact.errors import DigestMismatchError, UnsafeArchiveError
from morphstream.artifact.regular_file import open_regular
from morphstream.artifact.vocabulary import SAFE_PATH

FILE_BYTES_MAX = 8**11 - 1  # what a tar header holds without an extension, just under 8 GiB
NAME_BYTES_MAX = 400  # so that a PAX header is one block
HASHING_THREADS = 3  # for the archive, its tar and the file at hand
AHEAD = 4  # chunks to hash, where bytes are read: neither side waits for the other at each

_BLOCK = tarfile.BLOCKSIZE
_NAME = re.compile(SAFE_PATH.pattern)
_LONG_NAME = re.compile(rb"[0-9]+ path=([^\n]+)\n")
_MARK = b"\1"
_MARK_FRAME = zstandard.ZstdCompressor().compress(_MARK)


def check_names(files: Mapping[str, object]) -> None:
    """Check that there are files, and that their names are safe and fit in one folder."""
    if not files:
        raise UnsafeArchiveError("archive: expected one file or more, seen none; name the files")
    for name in files:
        if not _is_safe(name):
            rule = f"a relative path without .., backslash or control character, up to {NAME_BYTES_MAX} bytes"
            raise UnsafeArchiveError(f"archive: expected {rule}, seen {name!r}; rename the file")
        if above := [str(parent) for parent in PurePosixPath(name).parents if str(parent) in files]:
            seen = f"a file above {name!r}"
            raise UnsafeArchiveError(f"archive: expected {above[0]!r} to be a folder, seen {seen}; rename one")


def _is_safe(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and len(name.encode()) <= NAME_BYTES_MAX


def _end(size: int) -> bytes:
    """Return the zeros that end a tar of so many bytes: two blocks, then up to a whole record."""
    return bytes(2 * _BLOCK + -(size + 2 * _BLOCK) % tarfile.RECORDSIZE)


class Member(NamedTuple):
    """A file in a tar: its name, its size in bytes and its mode, in the tar and unpacked."""

    name: str
    size: int
    mode: int


def _mode_of(mode: int) -> int:
    return 0o755 if mode & stat.S_IXUSR else 0o644


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.name)  # its defaults are those of the convention
    info.size, info.mode = member.size, member.mode
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


class Hasher:
    """Digest of bytes as they pass, hashed in a thread while the next chunks are on their way.

    Up to `ahead` chunks wait in memory; more than one needs an executor of one thread, which keeps their order.
    """

    def __init__(self, pool: Executor, ahead: int = 1) -> None:
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        self._pool, self._ahead = pool, ahead
        self._coming = deque[Future[None]]()

    def update(self, data: bytes) -> None:
        """Take the next bytes; waits for earlier ones, so that memory is bounded."""
        self._wait(self._ahead - 1)
        self._coming.append(self._pool.submit(self._sha256.update, data))
        self.bytes += len(data)

    def digest(self) -> Digest:
        """Return the digest of the bytes so far."""
        self._wait(0)
        return Digest(self._sha256.hexdigest(), self.bytes)

    def _wait(self, left: int) -> None:
        while len(self._coming) > left:
            self._coming.popleft().result()


class Writer:
    """A tar.zst that is being written; `archive` hashes its compressed bytes, `tar` the others."""

    def __init__(self, out: BinaryIO, pool: Executor, *, level: int, threads: int) -> None:
        self.archive, self.tar = Hasher(pool), Hasher(pool)
        self._out, self._pool = out, pool
        compressor = zstandard.ZstdCompressor(level=level, threads=threads, write_checksum=False)
        self._zstd = compressor.compressobj()  # of unknown size: a pledged one would change the bytes

    def add(self, name: str, source: Path) -> Digest:
        """Append a file, read once, and return its digest."""
        status = source.lstat()
        mode, size = status.st_mode, status.st_size
        if not stat.S_ISREG(mode) or size > FILE_BYTES_MAX:
            wanted = f"a regular file of up to {FILE_BYTES_MAX} bytes"
            seen = f"{stat.filemode(mode)} of {size} bytes"
            raise UnsafeArchiveError(f"pack {source}: expected {wanted}, seen {seen}; copy or split it")
        hasher = Hasher(self._pool)
        self._write(_header(Member(name, size, _mode_of(mode))))
        with open_regular(source) as file:
            while chunk := file.read(min(CHUNK_BYTES, size + 1 - hasher.bytes)):
                hasher.update(chunk)
                self._write(chunk)
        if hasher.bytes != size:
            raise DigestMismatchError(f"pack {source}", f"{size} bytes", "another size on the way")
        self._write(bytes(-size % _BLOCK))
        return hasher.digest()

    def finish(self) -> None:
        """Append the end of the tar and flush, once."""
        self._write(_end(self.tar.bytes))
        self._put(self._zstd.flush())

    def _write(self, data: bytes) -> None:
        self.tar.update(data)
        self._put(self._zstd.compress(data))

    def _put(self, data: bytes) -> None:
        self.archive.update(data)
        self._out.write(data)


class Source:
    """Compressed bytes as zstandard asks for them: hashed, bounded, and a mark behind their end.

    The mark is a frame of our own. zstandard takes a stream that ends inside a frame for complete; the mark
    decodes behind complete frames only. `archive` hashes the bytes; the executor has one thread.
    """

    def __init__(self, stream: BinaryIO, pool: Executor, expected: Digest | None = None) -> None:
        self.archive = Hasher(pool, AHEAD)
        self._stream, self._expected = stream, expected
        self._rest = _MARK_FRAME

    def read(self, size: int) -> bytes:
        """Return up to so many bytes, none at the end; of too many, one is read."""
        if self._expected:
            size = min(size, self._expected.bytes + 1 - self.archive.bytes)
        if data := self._stream.read(size):
            self.archive.update(data)
        else:
            data, self._rest = self._rest, b""
        if self._expected and self.archive.bytes > self._expected.bytes:
            raise DigestMismatchError("archive", f"{self._expected.bytes} bytes", "more")
        return data

    def verify(self) -> None:
        """Check, at their end, that the bytes were the expected ones."""
        if self._expected and self.archive.digest() != self._expected:
            raise DigestMismatchError("archive", self._expected, self.archive.digest())


class Reader:
    """The tar inside a tar.zst, read in order; it refuses whatever `Writer` would not have written."""

    def __init__(self, source: Source, what: str, tar: Hasher | None = None) -> None:
        decompressor = zstandard.ZstdDecompressor()
        stream = cast("BinaryIO", source)  # zstandard calls read alone
        self._zstd = decompressor.stream_reader(stream, CHUNK_BYTES, read_across_frames=True)
        self._what, self._tar, self._bytes = what, tar, 0

    def members(self) -> Iterator[Member]:
        """Yield each file; its chunks must be read before the next is asked for."""
        last = ""
        while (block := self._read(_BLOCK)) != bytes(_BLOCK):
            member = self._parse(block)
            if member.name <= last:
                raise self._refusal("names that ascend", f"{member.name!r} after {last!r}")
            last = member.name
            yield member
            if any(self._read(-member.size % _BLOCK)):
                raise self._refusal(f"zeros behind {member.name!r}", "other bytes")
        end = _end(self._bytes - _BLOCK)[_BLOCK:]
        if self._read(len(end)) != end or self._decompress(2) != _MARK:
            raise self._refusal("the end of a tar", "other bytes, or a cut")

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the bytes of the file at hand."""
        while size:
            chunk = self._read(min(size, CHUNK_BYTES))
            yield chunk
            size -= len(chunk)

    def _parse(self, block: bytes) -> Member:
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
            name = info.name
            if info.type == tarfile.XHDTYPE:
                block += self._read(2 * _BLOCK)
                if found := _LONG_NAME.match(block, _BLOCK):
                    name = found[1].decode(errors="replace")
                info = tarfile.TarInfo.frombuf(block[2 * _BLOCK :], "utf-8", "replace")
        except tarfile.TarError as error:
            raise self._refusal("a tar header", str(error)) from error
        member = Member(name, info.size, _mode_of(info.mode))
        if not _is_safe(name) or not 0 <= info.size <= FILE_BYTES_MAX or block != _header(member):
            seen = f"{name!r} of type {info.type!r}, {info.size} bytes"
            raise self._refusal("plain files with safe names", seen)
        return member

    def _read(self, size: int) -> bytes:
        data = self._decompress(size)
        self._bytes += len(data)
        if len(data) != size:
            raise self._refusal("a whole tar", f"its end after {self._bytes} bytes")
        if self._tar:
            self._tar.update(data)
        return data

    def _decompress(self, size: int) -> bytes:
        try:
            return self._zstd.read(size)
        except zstandard.ZstdError as error:
            raise self._refusal("whole zstd frames", str(error)) from error

    def _refusal(self, expected: str, seen: str) -> UnsafeArchiveError:
        return UnsafeArchiveError(f"{self._what}: expected {expected}, seen {seen}; fetch or pack it again")
