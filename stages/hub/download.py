"""Download a file of the Hub: verified while it comes, continued after a cut, and in its place when it is right."""

import errno
import fcntl
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from huggingface_hub import get_hf_file_metadata
from huggingface_hub.file_download import http_get

from morphstream.artifact.digest import CHUNK_BYTES, Digest, digest_of_file
from morphstream.artifact.errors import DigestMismatchError
from morphstream.artifact.tarzst import Hasher
from stages.hub.client import HubError, ask
from stages.hub.repository import Repository, headers

_WHOLE_DOWNLOADS = 2  # of a file whose bytes turn out wrong: the second from its start
_SHA256 = re.compile("[0-9a-f]{64}")


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
        repository: Where it lies.
        path: Its path there.
        commit: 40 digits.
        expected: Its digest; the client itself accepts altered bytes.
        target: Where to put it.
        add: Told the size of each part that is here; a part that is given up counts back.
        stop: When set, the download ends.

    Raises:
        HubError: The Hub refuses, or can't be reached.
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
        what = f"{repository.name}@{commit[:7]} {path}"
        try:
            _check_pin(repository, path, commit, expected, what)
            _fill(repository, path, commit, _Part(file, expected, pool, add, stop or threading.Event()), what)
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


def _check_pin(repository: Repository, path: str, commit: str, expected: Digest, what: str) -> None:
    """Check what the Hub says of a file before all of it is downloaded."""
    url = repository.url(path, commit)
    said = ask(what, lambda: get_hf_file_metadata(url, headers=headers()), repository.pauses_s)
    if said.commit_hash not in (None, commit):
        raise HubError(f"{what}: expected a file of that commit, seen one of {said.commit_hash}; see HF_ENDPOINT")
    if said.size not in (None, expected.bytes):
        raise DigestMismatchError(what, f"{expected.bytes} bytes as pinned", f"{said.size} bytes")
    if said.etag and _SHA256.fullmatch(said.etag) and said.etag != expected.sha256:
        raise DigestMismatchError(what, f"sha256 {expected.sha256} as pinned", said.etag)


def _fill(repository: Repository, path: str, commit: str, part: "_Part", what: str) -> None:
    """Download until the part is whole and right."""

    def more() -> None:
        if part.tell() < part.expected.bytes:
            file = cast("BinaryIO", part)  # the client calls write, tell, seek and truncate
            http_get(repository.url(path, commit), file, resume_size=part.tell(), headers=headers())
        if part.tell() < part.expected.bytes:
            raise OSError(f"{part.tell()} of {part.expected.bytes} bytes")  # as the client says it of a cut

    for _ in range(_WHOLE_DOWNLOADS):
        held = -1
        while held != part.tell():  # as long as something comes, the attempts begin anew
            held = part.tell()
            try:
                ask(what, more, repository.pauses_s)
                break
            except HubError:
                if held == part.tell():
                    raise
        if (observed := part.digest()) == part.expected:
            return
        part.restart()
    raise DigestMismatchError(what, part.expected, observed)


class _Part:
    """A file that is being downloaded: hashed in a thread while it grows, and never longer than it should be."""

    def __init__(
        self, file: BinaryIO, expected: Digest, pool: Executor, add: Callable[[int], None], stop: threading.Event
    ) -> None:
        self.expected = expected
        self._file, self._pool, self._add, self._stop = file, pool, add, stop
        self._hasher = Hasher(pool)
        while chunk := file.read(CHUNK_BYTES):
            self._took(chunk)

    def write(self, data: bytes) -> int:
        """Append bytes."""
        if self._stop.is_set():
            raise InterruptedError(errno.EINTR, "stopped")
        self._took(data)
        if self._hasher.bytes > self.expected.bytes:
            self.restart()
            raise DigestMismatchError("download", f"{self.expected.bytes} bytes", "more")
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        return len(data)

    def tell(self) -> int:
        """Return how many bytes there are."""
        return self._hasher.bytes

    def seek(self, offset: int) -> None:
        """Go back to the start, as the client does where the Hub won't continue."""
        if offset:
            raise ValueError(f"expected the start, seen {offset}")

    def truncate(self) -> None:
        """Give up what there is."""
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self._add(-self._hasher.bytes)
        self._file.seek(0)
        self._file.truncate()
        self._hasher = Hasher(self._pool)

    def digest(self) -> Digest:
        """Return the digest of what there is."""
        return self._hasher.digest()

    def _took(self, data: bytes) -> None:
        self._hasher.update(data)
        self._add(len(data))
