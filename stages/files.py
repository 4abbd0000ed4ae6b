"""Write the outputs of stages beside their place, and move them there once they are complete."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.regular_file import read_regular
from morphstream.artifact.staged import left_parts, scratch_folder, staged_file
from morphstream.source.source import SMALL_BYTES_MAX

_OLD = "old"


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that replaces `folder` when the block ends, and is removed when it raises.

    A run that is killed leaves the old folder or the new one, whole, for the next run.
    """
    for left in left_parts(folder):
        if (old := left / _OLD).is_dir() and not folder.exists():
            old.rename(folder)  # a run was killed between the two renames below
    with scratch_folder(folder) as scratch:
        (part := scratch / "new").mkdir()
        yield part
        if folder.exists():
            folder.rename(scratch / _OLD)
        part.rename(folder)


@contextmanager
def locked(part: Path) -> Iterator[BinaryIO]:
    """Open a file under an exclusive lock, again if it was moved away meanwhile; remove it where it ends empty.

    A run that is killed leaves the file, for the next run to continue or to write anew.
    """
    while True:
        with part.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # ends with the process, however that ends
            if _is_at(file, part):
                try:
                    yield file
                finally:
                    if os.fstat(file.fileno()).st_size == 0:
                        part.unlink(missing_ok=True)
                return


def _is_at(file: BinaryIO, path: Path) -> bool:
    return path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that no reader finds half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged_file(path) as file:
        file.write(data)


def json_bytes(document: object) -> bytes:
    """Return a document as the JSON files of build/ hold it."""
    return (json.dumps(document, indent=2) + "\n").encode()


def read_json(path: Path) -> Any:
    """Return what a JSON file of build/ has.

    Raises:
        ManifestError: It has none.
        OSError: It can't be read.
    """
    try:
        return json.loads(read_regular(path, SMALL_BYTES_MAX))
    except (ValueError, RecursionError) as error:
        raise ManifestError("", f"{path}: expected JSON, seen a fault: {error}; run `dvc repro`") from None


def write_json(path: Path, document: object) -> None:
    """Write a JSON file that no reader finds half-written."""
    write_whole(path, json_bytes(document))
