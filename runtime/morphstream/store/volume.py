"""What a store asks of a volume that many processes share: locks, removal of what none uses, words for refusals.

Conventions:

* Locks are ``flock``s: they end with the process that has them, however that ends. No file's time or presence means
  anything, nor does what stands in a lock's file but to a person.
* A folder is used while a process shares the lock on its marker, a file of it that is there from its first moment on.
"""

import errno
import fcntl
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_POLL_S = 0.05  # flock has no time-out of its own
_REMEDIES = {
    errno.ENOSPC: "make room there, or name another store",
    errno.EDQUOT: "make room in the quota, or name another store",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), or name another store",
    errno.EROFS: "mount it for writing, or boot where it is and share it",
    errno.EACCES: "let this user write there, or name another store",
    errno.EPERM: "let this user write there, or name another store",
    errno.EXDEV: "lay all of it on one volume, or name another store",
    errno.ESTALE: "mount the volume again, and boot again",
    errno.ENOLCK: "mount it with locks, or name a store on a local disk",
    errno.EOPNOTSUPP: "mount it with locks, or name a store on a local disk",
    errno.ENOSYS: "mount it with locks, or name a store on a local disk",
}
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_log = logging.getLogger("morphstream.boot")


def explained(error: OSError, path: Path) -> OSError:
    """Return an error of the system as one line that names the store and says what to do; it keeps its class."""
    if error.errno is None:  # it says so itself
        return error
    at = f" of {error.filename}" if error.filename and str(error.filename) != str(path) else ""
    remedy = _REMEDIES.get(error.errno, "mend that, and boot again")
    wanted = "a volume with locks" if lacks_locks(error) else "a folder to write to"
    return OSError(error.errno, f"store {path}: expected {wanted}, seen {error.strerror}{at}; {remedy}")


def lacks_locks(error: BaseException) -> bool:
    """Tell whether an error says that the volume has no locks."""
    return isinstance(error, OSError) and error.errno in _NO_LOCKS


@contextmanager
def alone(path: Path, timeout_s: float, pause: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Be the only process with the lock on a file, which is made; a terminal sees for whom this one waits.

    Args:
        path: The file.
        timeout_s: How long to wait for it.
        pause: Waits so many seconds between two looks; what it raises ends the waiting.

    Raises:
        TimeoutError: Another process has it for longer than that.
        OSError: The file can't be opened, or the volume has no locks.
    """
    descriptor = _wait(path, timeout_s, pause)
    try:
        with suppress(OSError):  # a full disk; what stands there is for people
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
        yield
    finally:
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for a child that was forked meanwhile
        os.close(descriptor)


def _wait(path: Path, timeout_s: float, pause: Callable[[float], object]) -> int:
    """Return a descriptor of a file with the lock on it."""
    start, told = time.monotonic(), -1
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                _tell("" if told >= 0 else None)
                return descriptor
        except BlockingIOError:
            waited_s, holder = time.monotonic() - start, _holder(descriptor)
            if waited_s >= timeout_s:
                _tell("" if told >= 0 else None)
                os.close(descriptor)
                expected = f"{path.parent}: expected its lock within {timeout_s:g} s, seen it with {holder}"
                raise TimeoutError(f"store {expected}; wait for that, or end it, and boot again") from None
            if told < 0:
                _log.info("store %s: waiting for %s", path.parent, holder)
            if int(waited_s) > told:
                told = int(waited_s)
                _tell(f"store {path.parent}: waiting for {holder}, {told} s")
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        pause(_POLL_S)


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, 200, 0).decode(errors="replace")
    return " ".join("".join(filter(str.isprintable, text)).split()) or "another process"


def _tell(line: str | None) -> None:
    """Show a line on a terminal in the place of the one before; none where it is empty."""
    if line is not None and sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Share the lock on a file, and so use its folder; a volume that can't be written to will do.

    It is the file that lies at the path now that is locked: not one that was removed before the lock was there.

    Raises:
        BlockingIOError: A process is removing the folder.
        FileNotFoundError: There is no such file.
        OSError: It can't be opened, or the volume has no locks.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if not _is_at(descriptor, path):
            raise FileNotFoundError(errno.ENOENT, "removed while it was opened", str(path))
        yield
    finally:
        os.close(descriptor)  # not unlocked: a child that was forked meanwhile uses it on


def remove_unused(folder: Path, marker: str) -> bool:
    """Remove a folder that no process uses; return whether there is none any more.

    It is removed where it lies. What is left where that is cut short is whole for nobody: its sizes tell.
    """
    if folder.is_symlink() or folder.is_file():  # not of ours
        with suppress(OSError):
            folder.unlink()
        return not os.path.lexists(folder)
    try:
        descriptor = os.open(folder / marker, os.O_RDWR | os.O_CLOEXEC)  # NFS locks alone what may be written
    except FileNotFoundError:  # so that nobody can use it
        shutil.rmtree(folder, ignore_errors=True)
        return not os.path.lexists(folder)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)  # what can't be removed now is tried next time
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return not os.path.lexists(folder)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk.

    Raises:
        OSError: It can't be.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
