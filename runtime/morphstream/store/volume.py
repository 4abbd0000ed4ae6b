"""What a store asks of a volume that many processes share: locks, removal of unused folders, refusals in words.

Conventions:

* Locks are ``flock``s: the system drops them when the process ends, however it ends. No file's time or presence counts,
  and what is written in a lock's file is for people only.
* A folder is in use while a process shares the lock on its marker, a file in it that is never replaced.
"""

import errno
import fcntl
import logging
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader, FileIO
from pathlib import Path

from morphstream.artifact.regular_file import kind_of, open_regular
from morphstream.source.progress import show_line

_POLL_S = 0.05  # flock has no time-out of its own
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
OCCUPIED = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ELOOP)  # where a file, or a folder, would have to be
_REMEDIES = {
    errno.ENOSPC: "make room there, or name another store",
    errno.EDQUOT: "make room in the quota, or name another store",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), or name another store",
    errno.EROFS: "mount it for writing, or boot where it is and share it",
    errno.EXDEV: "put all of it on one volume, or name another store",
    errno.ESTALE: "mount the volume again, and boot again",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "let this user write there, or name another store"),
    **dict.fromkeys(OCCUPIED, "move it away, or name another store"),
    **dict.fromkeys(NO_LOCKS, "mount it with locks, or name a store on a local disk"),
}
_HOLDER = re.compile(rb"process [0-9]+ on |\Z")  # begins the text of a lock's file, or is all of it
_HOLDER_BYTES = 200
_log = logging.getLogger("morphstream.boot")


def foreign(path: Path, expected: str, seen: str) -> OSError:
    """Return the refusal of a path that others have something at: it is neither used nor replaced."""
    return OSError(f"{path}: expected {expected} that was made here, seen {seen}; move it away, or name another folder")


def explain(error: OSError, path: Path) -> OSError:
    """Return a system error as one line that names the store and the remedy; the class stays the same."""
    if error.errno is None:  # raised here, with a message of its own
        return error
    at = f" of {error.filename}" if error.filename and str(error.filename) != str(path) else ""
    remedy = _REMEDIES.get(error.errno, "repair that, and boot again")
    wanted = "a volume with locks" if error.errno in NO_LOCKS else "a folder to write to"
    return OSError(error.errno, f"store {path}: expected {wanted}, seen {error.strerror}{at}; {remedy}")


@contextmanager
def exclusive_lock(path: Path, timeout_s: float, pause: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Lock a file for this process alone, and make it where there is none; a terminal shows which process it waits for.

    Args:
        path: The file.
        timeout_s: How long to wait for another process, before a TimeoutError.
        pause: Waits that many seconds between two attempts; an exception of it ends the waiting.
    """
    with _wait(path, timeout_s, pause) as file:
        if not _HOLDER.match(os.pread(file.fileno(), _HOLDER_BYTES, 0)):
            raise foreign(path, "a lock", "another file")
        try:
            with suppress(OSError):  # a full disk; the text is for people
                file.truncate(0)
                file.write(f"process {os.getpid()} on {os.uname().nodename}\n".encode())
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)
            fcntl.flock(file, fcntl.LOCK_UN)  # also for a child that was forked meanwhile


def _wait(path: Path, timeout_s: float, pause: Callable[[float], object]) -> FileIO:
    """Wait for the lock on a file, and return the file with it."""
    start, is_waiting = time.monotonic(), False
    try:
        while (file := _try_lock(path)) is None:
            waited_s, holder = time.monotonic() - start, _holder(path)
            if waited_s >= timeout_s:
                expected = f"{path.parent}: expected its lock within {timeout_s:g} s, seen it with {holder}"
                raise TimeoutError(f"store {expected}; wait for that, or end it, and boot again")
            if not is_waiting:
                _log.info("store %s: waiting for %s", path.parent, holder)
            is_waiting = True
            show_line(f"store {path.parent}: waiting for {holder}, {waited_s:.0f} s")
            pause(_POLL_S)
        return file
    finally:
        if is_waiting:
            show_line("")


def _try_lock(path: Path) -> FileIO | None:
    """Return a file with the lock on it; None where another process holds that."""
    while True:
        with ExitStack() as stack:
            file = stack.enter_context(_open_lock(path))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            if _is_at(file, path):  # else the file was removed or replaced before it was locked
                stack.pop_all()
                return file


def _open_lock(path: Path) -> FileIO:
    """Open the file of a lock, and make it where there is none; a link isn't followed, as what it names isn't ours."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        file = FileIO(os.open(path, flags, 0o666), "rb+")
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise foreign(path, "a lock", kind_of(path.lstat().st_mode)) from None
        raise
    if not stat.S_ISREG(mode := os.fstat(file.fileno()).st_mode):
        file.close()
        raise foreign(path, "a lock", kind_of(mode))
    return file


def _holder(path: Path) -> str:
    """Return the process that a lock's file names."""
    text = ""
    with suppress(OSError), open_regular(path, follows_links=False) as file:
        text = file.read(_HOLDER_BYTES).decode(errors="replace")
    return " ".join("".join(filter(str.isprintable, text)).split()) or "another process"


@contextmanager
def shared_lock(path: Path) -> Iterator[None]:
    """Share the lock on a marker, so that its folder stays; a read-only volume will do.

    Only the file that is at the path under the lock counts, never one that was removed before it was locked.
    """
    with open_regular(path) as file:  # not unlocked: a child that was forked meanwhile still uses it
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if not _is_at(file, path):
            raise FileNotFoundError(errno.ENOENT, "removed while it was opened", str(path))
        yield


def remove_unused(folder: Path, marker: str, trash: Path) -> bool:
    """Remove a folder with a marker, by way of another path on its volume, if no process uses it.

    Returns:
        Whether it is gone; what is left of one whose removal was cut short is at the other path.
    """
    with suppress(OSError), ExitStack() as lock:
        if (folder / marker).exists():  # else no process can use it
            file = lock.enter_context((folder / marker).open("rb+"))  # NFS locks only what is open for writing
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
    return not os.path.lexists(folder)


def _is_at(file: FileIO | BufferedReader, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False
