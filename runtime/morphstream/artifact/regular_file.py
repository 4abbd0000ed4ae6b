"""Read files in whose place anything may be: what isn't a regular file is refused at once."""

import errno
import os
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class UnfitFileError(OSError):
    """A path names no regular file, or one that is too large; `strerror` says what was seen there."""

    def __str__(self) -> str:
        return f"{self.filename}: expected a regular file, seen {self.strerror}; move it away, or name another"


def open_regular(path: Path, *, follows_links: bool = True) -> BufferedReader:
    """Open a regular file to read; never waits for what isn't one.

    Raises:
        UnfitFileError: It is a pipe, a device or a socket, or a link that isn't to be followed.
        OSError: It can't be read, as where there is none, or a folder.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        number = os.open(path, flags if follows_links else flags | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _unfit("a socket or a device", path) from None
        if error.errno == errno.ELOOP and not follows_links and path.is_symlink():
            raise _unfit("a link", path) from None
        raise
    if stat.S_ISREG(mode := os.fstat(number).st_mode):
        return os.fdopen(number, "rb")
    os.close(number)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise _unfit(kind_of(mode), path)


def read_regular(path: Path, most_bytes: int, *, follows_links: bool = True) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        UnfitFileError: It has more than `most_bytes`, or is none, as `open_regular` says.
        OSError: It can't be read.
    """
    with open_regular(path, follows_links=follows_links) as file:
        is_larger = os.fstat(file.fileno()).st_size > most_bytes  # else what isn't one, as of /proc, may be
        data = b"" if is_larger else file.read(most_bytes + 1)
    if is_larger or len(data) > most_bytes:
        raise _unfit(f"more than {most_bytes} bytes", path)
    return data


def real_path(path: Path) -> Path:
    """Return where links lead, which need not be there.

    Raises:
        OSError: They lead to themselves, or through what isn't a folder that this user may enter.
    """
    with suppress(FileNotFoundError):
        path.stat()
    return path.resolve()


def kind_of(mode: int) -> str:
    """Return in words what a path with this mode is."""
    return _KINDS.get(stat.S_IFMT(mode), "a device")


def _unfit(seen: str, path: Path) -> UnfitFileError:
    return UnfitFileError(errno.EINVAL, seen, str(path))
