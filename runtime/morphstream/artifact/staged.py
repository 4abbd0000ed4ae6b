"""Files and folders on the way to their place: written beside it, and moved there once they are complete.

Convention: what will be NAME is ``.NAME.RANDOM.part`` meanwhile, locked for as long as its process writes it. What a
killed process left goes with the next one that writes NAME; what is locked, or of another name or kind, stays.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from morphstream.artifact.regular_file import UnfitFileError, kind_of
from morphstream.process import shortage_of

_RANDOM_BYTES = 4
_PART = re.compile(r"\..+\.[0-9a-f]{8}\.part", re.DOTALL)
_NAME_BYTES = 200  # of NAME: with what is added, a file system takes 255


@contextmanager
def staged_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file that replaces what is at a path when the block ends, and is removed when the block raises.

    A link at the path is replaced, not followed.

    Raises:
        UnfitFileError: A pipe, a device or a socket is at the path.
        OSError: It can't be written, as where a folder is at the path.
    """
    _check_replaceable(path)
    _remove_left(path, stat.S_ISREG)
    part = part_of(path)
    try:
        with _naming(path), os.fdopen(_created(part, _new_file), "wb") as file:
            yield file
            file.flush()
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside a path, and remove it, with what is in it, when the block ends."""
    _remove_left(path, stat.S_ISDIR)
    part = part_of(path)
    try:
        with _naming(path):
            descriptor = _created(part, _new_folder)
            try:
                yield part
            finally:
                os.close(descriptor)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name what is written in an error that names its part, or nothing, as that of a full disk does."""
    try:
        yield
    except OSError as error:
        if is_part(Path(str(error.filename)).name) or (error.filename is None and shortage_of(error)):
            error.filename = str(path)
        raise


def part_of(path: Path) -> Path:
    """Return a new name for what will be at a path."""
    return path.with_name(f"{_prefix(path)}{secrets.token_hex(_RANDOM_BYTES)}.part")


def is_part(name: str) -> bool:
    """Return whether a name is one that `part_of` gives."""
    return bool(_PART.fullmatch(name))


def left_parts(path: Path) -> list[Path]:
    """Return what has a name that `part_of` may have given for a path: of killed processes, or of others at work."""
    prefix, ending = _prefix(path), len("01234567.part")
    with suppress(OSError), os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if entry.name[:-ending] == prefix]
        return [path.with_name(name) for name in names if is_part(name)]
    return []


def _check_replaceable(path: Path) -> None:
    """Check that nothing is at a path, or a file or a link."""
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
            raise UnfitFileError(errno.EINVAL, kind_of(mode), str(path))


def _prefix(path: Path) -> str:
    name = os.fsencode(path.name)
    return f".{path.name if len(name) <= _NAME_BYTES else hashlib.sha256(name).hexdigest()}."


def _new_file(part: Path) -> int:
    return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _new_folder(part: Path) -> int:
    while True:
        part.mkdir(parents=True)
        with suppress(FileNotFoundError):  # another process took it for a killed one's
            return os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _created(part: Path, new: Callable[[Path], int]) -> int:
    """Return a descriptor of something new, locked for as long as that is open, so that no other process removes it."""
    while True:
        descriptor = new(part)
        with suppress(OSError):  # a volume without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if part.exists() and os.path.samestat(part.stat(), os.fstat(descriptor)):
            return descriptor
        os.close(descriptor)  # another process removed it between the lines above


def remove_part(part: Path, is_kind: Callable[[int], bool] = lambda _: True) -> bool:
    """Remove a file or folder that has a name of `part_of`, if no process writes it; return whether it was removed."""
    with suppress(OSError):
        descriptor = os.open(part, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_kind(os.fstat(descriptor).st_mode):
                shutil.rmtree(part) if part.is_dir() else part.unlink()
                return True
        finally:
            os.close(descriptor)
    return False


def _remove_left(path: Path, is_kind: Callable[[int], bool]) -> None:
    for part in left_parts(path):
        remove_part(part, is_kind)
