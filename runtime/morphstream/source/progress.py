"""A line on stderr that shows how far a long operation is, where stderr is a terminal."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TextIO


def is_terminal(stream: TextIO) -> bool:
    """Return whether a line of a stream can be replaced: it is a terminal, and none without control codes."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def show_line(text: str) -> None:
    """Replace the last line of a terminal; an empty text removes it. Other outputs get nothing."""
    if is_terminal(sys.stderr):
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


@contextmanager
def progress(what: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Yield a function, for any thread, that adds the size of a part that is done; at the end the line is removed."""
    lock, done, shown = Lock(), 0, -1

    def add(size: int) -> None:
        nonlocal done, shown
        with lock:
            done += size
            if (percent := 100 * done // max(total_bytes, 1)) != shown:
                shown = percent
                show_line(f"{what}: {percent} %")

    try:
        yield add
    finally:
        show_line("")
