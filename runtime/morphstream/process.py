"""The start and the end of this process: at a signal, or with too little memory or threads, it ends in one line.

Conventions:

* While modules load nothing has begun yet, so that a signal ends the process at once. Later the first one raises
  `Interrupted` in the main thread, where it removes what was begun; those after it are ignored.
* The exit status is 128 and the signal's number, whatever libraries make of the exception.
* A signal that is ignored from the start, as by ``nohup``, stays so.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from morphstream.artifact.errors import message_of

GRACE_S = 3.0  # to remove what was begun; what isn't by then, the next run removes
_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_MEMORY = ("bad_alloc", "annot allocate memory", "not enough memory", "failed to map segment", "Failed to allocate")
_ROOM = {  # what a system refuses to write for, and the remedy
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room in the quota, or name another place",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), or name another place",
    errno.EROFS: "mount it for writing, or name another place",
}
_THREADS = ("can't start new thread", "Resource temporarily unavailable")


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived; its one argument is the signal's number."""


def shortage_of(error: BaseException) -> str:
    """Return what an error lacks, and the remedy, if that is memory, threads or room to write; empty for any other."""
    text = str(error)
    if isinstance(error, OSError) and (remedy := _ROOM.get(error.errno or 0)) and "expected" not in text:
        where = f"{os.fspath(error.filename)}: " if isinstance(error.filename, str | os.PathLike) else ""
        return f"{where}expected room to write, seen {error.strerror}; {remedy}"
    if "iostream error" in text:  # of a library in C++
        return "expected room to write, seen none left; make room there, or raise the limit on file sizes (ulimit -f)"
    if "No usable temporary directory" in text:
        return "expected a folder for temporary files, seen none that this user can write; set TMPDIR to one"
    if isinstance(error, MemoryError) or any(words in text for words in _MEMORY):
        return "expected memory, seen none left; end other programs, or raise the limit (ulimit -v, the container's)"
    if any(words in text for words in _THREADS):
        return "expected a new thread, seen none left; raise the limit (ulimit -u or -v, the container's pids limit)"
    return ""


def line_of(error: OSError, remedy: str) -> str:
    """Return a system error as one line.

    Args:
        error: With the path that it is about, or with a message of its own.
        remedy: What to do about that path, where no right is missing.
    """
    if shortage := shortage_of(error):
        return shortage
    if not isinstance(error.filename, str | os.PathLike):
        return error.strerror or str(error)
    remedy = "let this user do so" if isinstance(error, PermissionError) else remedy
    return f"{os.fspath(error.filename)}: expected a file to read or write, seen {error.strerror}; {remedy}"


def begin_process(name: Callable[[], str]) -> None:
    """Begin a program, before its modules load: SIGINT or SIGTERM ends it at once, and so does a shortage in a line.

    Streams that it was started without are opened. NumPy calculates in one thread: its matrices here are small, its
    threads take 50 ms of processor time to start and end, and their number would change last digits.

    Args:
        name: Returns what the line begins with.
    """
    for number, stream in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, stream) is None:  # closed: the next file that is opened would get its number, and its texts
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, number == descriptor)
            setattr(sys, stream, os.fdopen(descriptor, "w" if number else "r"))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _handle(lambda number, _: _exit(name(), number))
    show = sys.excepthook

    def show_shortage(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if shortage := shortage_of(error):
            _say(f"{name()}: {shortage}")
        else:
            show(kind, error, trace)

    sys.excepthook = show_shortage


def raise_at_signals(begin: Callable[[int], object] = bool) -> list[int]:
    """Have the first SIGINT or SIGTERM call a function, then raise `Interrupted`; those after it do nothing.

    Returns:
        A list whose first item will be the signal's number; one that isn't empty keeps all signals from raising.
    """
    received = list[int]()

    def interrupt(number: int, _: object) -> None:
        if not received:
            received.append(number)
            begin(number)
            raise Interrupted(number)

    _handle(interrupt)
    return received


def run_process(name: Callable[[], str], main: Callable[[], int]) -> int:
    """Call the main function of a program in its main thread, and return the exit status.

    Args:
        name: Returns what a line on stderr begins with.
        main: Returns the exit status.
    """
    received, code = raise_at_signals(lambda number: _end_soon(name(), number)), 1
    try:
        code = main()
        received.append(0)
    except KeyboardInterrupt as error:
        if not received:  # the program has handlers of its own
            received.extend([*error.args, signal.SIGINT])
            _say(_line(name(), received[0]))
    except BaseException:
        received.append(0)
        if not received[0]:
            raise
    finally:
        _handle(signal.SIG_IGN)  # the interpreter's end would restore what ends a process in silence
        is_out = _flush()
    return 128 + received[0] if received[0] else code if is_out else code or 1


def _handle(handler: Callable[[int, object], object] | signal.Handlers) -> None:
    for number in _WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _end_soon(name: str, number: int) -> None:
    """Say so, and end the process after `GRACE_S` at the latest; what is logged or raised until then isn't shown."""
    import logging  # here, as these take a while to load
    import threading
    import time

    def end() -> None:
        time.sleep(GRACE_S)
        os._exit(128 + number)

    _say(_line(name, number))
    logging.disable()
    sys.unraisablehook = lambda _: None
    threading.excepthook = lambda _: None
    with suppress(RuntimeError):  # there is no thread left
        threading.Thread(target=end, name="morphstream-end", daemon=True).start()


def _exit(name: str, number: int) -> None:
    _say(_line(name, number))
    os._exit(128 + number)


def _line(name: str, number: int) -> str:
    return f"{name}: {_WORDS[signal.Signals(number)]}"


def _say(line: str) -> None:
    """Write a line to stderr, from a signal handler, too; on a terminal it replaces a line of progress."""
    with suppress(OSError):
        number = _stderr()
        erase = chr(13) + chr(27) + "[K" if os.isatty(number) else ""
        os.write(number, f"{erase}{message_of(line)}\n".encode())


def _stderr() -> int:
    """Return the descriptor of Python's stderr, which isn't 2 while what libraries print goes elsewhere."""
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):  # it is no file
        return 2


def _flush() -> bool:
    """Write what was printed, and return whether that went; else the interpreter needn't try again."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):  # nobody reads on
            _say(f"stdout: expected it to take what is printed, seen {error.strerror}; make room there")
        return False
    return True
