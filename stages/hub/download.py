"""Download a file of the Hub: verified while it comes, continued after a cut, and in its place when it is right."""

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from morphstream.artifact.digest import CHUNK_BYTES, Digest, digest_of_file
from morphstream.artifact.errors import DigestMismatchError, FetchError
from morphstream.artifact.tarzst import Hasher
from morphstream.source.hub.request import InconsistentAnswerError
from stages.hub.repository import Repository

_ATTEMPTS = 2  # at a file that comes with other bytes than it should, or from a server that contradicts itself


def download(
    repository: Repository,
    path: str,
    commit: str,
    expected: Digest,
    target: Path,
    *,
    add: Callable[[int], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> None:
    """Bring a file of a commit to its place, byte for byte as expected, or leave what is there.

    What came before a cut stays beside the target and is continued, by this process or a later one. Processes that
    want the same file take turns, and those behind find it there.

    Args:
        repository: That has it.
        path: Its path there.
        commit: 40 digits.
        expected: Its digest.
        target: Where to put it.
        add: Called with the size of each part that is here; with a negative one where parts are given up.
        stop: When set, the download ends.

    Raises:
        FetchError: The Hub refuses, or can't be reached.
        DigestMismatchError: It holds or gives other bytes.
        InterruptedError: It was stopped.
        OSError: The file can't be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{expected.sha256[:16]}.part")
    with _locked(part) as file, ThreadPoolExecutor(1) as pool:
        if is_there(target, expected):  # another process was faster
            part.unlink()
            add(expected.bytes)
            return
        try:
            _complete(repository, path, commit, _Part(file, expected, pool, add), stop or threading.Event())
            part.replace(target)
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()  # nothing to continue


def is_there(target: Path, expected: Digest) -> bool:
    """Return whether a file holds exactly the expected bytes.

    Raises:
        OSError: It can't be read.
    """
    return target.is_file() and target.stat().st_size == expected.bytes and digest_of_file(target) == expected


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """Open a file for this process alone; whoever waited for one that was moved away opens another."""
    while True:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # ends with the process, however that ends
            if part.exists() and part.stat().st_ino == os.fstat(file.fileno()).st_ino:
                yield cast("BinaryIO", file)
                return


def _complete(repository: Repository, path: str, commit: str, part: "_Part", stop: threading.Event) -> None:
    """Download what a part lacks, until it is whole and right."""
    source, expected = repository.source(commit), part.expected
    fault: FetchError | DigestMismatchError | None = None
    for _ in range(_ATTEMPTS):
        try:
            if part.size < expected.bytes:
                with source.open(path, start=part.size, digest=expected) as stream:
                    while data := stream.read(CHUNK_BYTES):
                        if stop.is_set():
                            raise InterruptedError(errno.EINTR, "stopped")
                        part.write(data)
        except InconsistentAnswerError as error:
            fault = error  # and what came before it may be right
            continue
        if (observed := part.digest()) == expected:
            return
        fault = DigestMismatchError(f"{source} {path}", expected, observed)
        part.restart()
    if fault:
        raise fault


class _Part:
    """A file that is being downloaded, hashed in a thread while it grows."""

    def __init__(self, file: BinaryIO, expected: Digest, pool: Executor, add: Callable[[int], None]) -> None:
        self.expected = expected
        self._file, self._pool, self._add = file, pool, add
        self._hasher = Hasher(pool)
        while chunk := file.read(CHUNK_BYTES):
            self._count(chunk)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._hasher.bytes

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._count(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def restart(self) -> None:
        """Begin anew."""
        self._add(-self._hasher.bytes)
        self._file.seek(0)
        self._file.truncate()
        self._hasher = Hasher(self._pool)

    def digest(self) -> Digest:
        """Return the digest of what there is."""
        return self._hasher.digest()

    def _count(self, data: bytes) -> None:
        self._hasher.update(data)
        self._add(len(data))
