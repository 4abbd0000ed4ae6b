"""A line on stderr that says how far a long read is, where stderr is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import BinaryIO


@contextmanager
def progress(what: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Yield a function, for any thread, to tell the size of each part that is done; the line is gone afterwards."""
    is_terminal, lock = sys.stderr.isatty(), Lock()
    done, shown = 0, -1

    def add(size: int) -> None:
        nonlocal done, shown
        with lock:
            done += size
            if is_terminal and (percent := 100 * done // max(total_bytes, 1)) != shown:
                shown = percent
                print(f"\r{what}: {percent} %", end="", file=sys.stderr, flush=True)

    try:
        yield add
    finally:
        if is_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)  # back, and clear to the end of the line


class Counted:
    """A stream that tells a function the size of all it gives."""

    def __init__(self, stream: BinaryIO, add: Callable[[int], None]) -> None:
        self._stream, self._add = stream, add

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many bytes, none at the end."""
        data = self._stream.read(size)
        self._add(len(data))
        return data
