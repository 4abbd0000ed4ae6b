"""Write the outputs of stages beside their place, and move them there once they are complete."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that replaces `folder` when the block ends, and is removed when it raises.

    A run that is killed leaves the old folder or the new one, whole, for the next run.
    """
    part, old = (folder.with_name(f".{folder.name}.{word}") for word in ("part", "old"))
    if old.exists() and not folder.exists():
        old.rename(folder)  # a run was killed between the two renames below
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


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


@contextmanager
def scratch_file(path: Path) -> Iterator[Path]:
    """Give the path of a file to one process at a time, and remove the file at the end, unless it was moved away."""
    with locked(path) as file:
        try:
            yield path
        finally:
            if _is_at(file, path):  # else it may be another process's by now
                path.unlink()


def _is_at(file: BinaryIO, path: Path) -> bool:
    return path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that no reader finds half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def json_bytes(document: object) -> bytes:
    """Return a document as the JSON files of build/ hold it."""
    return (json.dumps(document, indent=2) + "\n").encode()


def write_json(path: Path, document: object) -> None:
    """Write a JSON file that no reader finds half-written."""
    write_whole(path, json_bytes(document))
