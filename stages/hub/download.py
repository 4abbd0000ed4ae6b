"""Download a file of the Hub: hashed meanwhile, continued after a cut, put in place once it is verified."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO

from morphstream.artifact.digest import CHUNK_BYTES, Digest, digest_of_file
from morphstream.artifact.errors import DigestMismatchError, FetchError
from morphstream.artifact.tarzst import Hasher
from morphstream.source.hub import HubSource
from morphstream.source.hub.refusals import InconsistentAnswerError
from stages.files import locked


def download(
    source: HubSource, path: str, expected: Digest, target: Path, add: Callable[[int], None] = lambda _: None
) -> None:
    """Download a file, verify it, and put it in place; on any error the old file stays.

    What was downloaded before a cut stays beside the target and is continued, by this process or a later one.
    Processes that want the same file wait for the first of them, and find it there.

    `add` is called with the size of each part that is here, and with a negative one where parts are given up; what it
    raises ends the download.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(f".{target.name}.{expected.sha256[:16]}.part")) as file:
        if is_there(target, expected):  # another process was faster
            file.truncate(0)
            add(expected.bytes)
        else:
            _complete(file, source, path, expected, add)
            Path(file.name).replace(target)


def is_there(target: Path, expected: Digest) -> bool:
    """Return whether a file holds exactly the expected bytes."""
    return target.is_file() and target.stat().st_size == expected.bytes and digest_of_file(target) == expected


def _complete(file: BinaryIO, source: HubSource, path: str, expected: Digest, add: Callable[[int], None]) -> None:
    """Download what a file lacks, from its start where it turns out wrong."""
    for is_last in (False, True):
        with ThreadPoolExecutor(1) as pool:
            hasher = Hasher(pool)
            try:
                for data in _parts(file, source, path, expected):
                    hasher.update(data)
                    add(len(data))
                if (observed := hasher.digest()) == expected:
                    return
                file.truncate(0)
                fault: FetchError | DigestMismatchError = DigestMismatchError(f"{source} {path}", expected, observed)
            except InconsistentAnswerError as error:
                fault = error  # and what came before it may be right
            add(-hasher.bytes)
        if is_last:
            raise fault


def _parts(file: BinaryIO, source: HubSource, path: str, expected: Digest) -> Iterator[bytes]:
    """Yield what a file has, then what it lacks, which is appended to it."""
    file.seek(0)
    yield from iter(partial(file.read, CHUNK_BYTES), b"")
    if file.tell() < expected.bytes:
        with source.open(path, start=file.tell(), digest=expected) as stream:
            for data in iter(partial(stream.read, CHUNK_BYTES), b""):
                file.write(data)
                yield data
    file.flush()
