"""A line on stderr that shows how far a long operation is, where stderr is a terminal."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TextIO
from unicodedata import east_asian_width

from morphstream.artifact.errors import message_of

_NARROWEST = 10  # letters, of which each may be twice as wide


def is_terminal(stream: TextIO) -> bool:
    """Return whether a line of a stream can be replaced: it is a terminal, and none without control codes."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def show_line(text: str) -> None:
    """Replace the last line of a terminal, cut to its width; an empty text removes it. Other outputs get nothing."""
    if is_terminal(sys.stderr):
        wide = sum(east_asian_width(letter) in "WF" for letter in text)
        line = message_of(text, max(_NARROWEST, _columns(sys.stderr) - 1 - wide))  # one that is broken stays
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _columns(stream: TextIO) -> int:
    """Return how many letters a line of a terminal has; not every one knows."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # it is no file
        return 80


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
