"""How a stage program ends: 0 done, 1 refused in one line on stderr, 2 wrong usage; a bug keeps its traceback."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError

_QUIET_S = 2.0  # a program that takes longer says so on a terminal


def run_program(main: Callable[[], None]) -> None:
    """Call a program's main function and exit as the module says."""
    what = " ".join([Path(sys.argv[0]).stem, *sys.argv[1:]])
    try:
        with _elapsed(what):
            main()
    except (MorphstreamError, OSError) as error:
        print(f"{what}: {_line(error)}", file=sys.stderr)
        sys.exit(1)


def _line(error: MorphstreamError | OSError) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: expected a file to read or write, seen {error.strerror}; run `dvc repro`"
    return " ".join(str(error).split())


@contextmanager
def _elapsed(what: str) -> Iterator[None]:
    """Show on a terminal, after two seconds, what is running and for how long."""
    if not sys.stderr.isatty():
        yield
        return
    done, start = threading.Event(), time.monotonic()

    def show() -> None:
        pause = _QUIET_S
        while not done.wait(pause):
            print(f"\r{what}: {time.monotonic() - start:.0f} s", end="", file=sys.stderr, flush=True)
            pause = 1.0

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        print("\r\033[K", end="", file=sys.stderr, flush=True)
