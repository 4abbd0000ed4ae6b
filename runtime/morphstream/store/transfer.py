"""How far a transfer is, and whether anybody still waits for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


class CancelledError(Exception):
    """Nobody waits for a transfer any more."""


class Transfer:
    """A transfer that other threads watch, and may cancel.

    Attributes:
        total_bytes: Of all that has to come; 0 until that is known.
        done_bytes: That have come.
    """

    def __init__(self) -> None:
        self.total_bytes = self.done_bytes = 0
        self._lock, self._stop, self._streams = threading.Lock(), threading.Event(), list[BinaryIO]()

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """End it, from any thread: what is read is closed, so that waiting for bytes ends, too."""
        self._stop.set()
        with self._lock:
            streams = tuple(self._streams)
        for stream in streams:
            stream.close()

    def add(self, size: int) -> None:
        """Note that so many bytes have come.

        Raises:
            CancelledError: It is cancelled.
        """
        with self._lock:
            self.done_bytes += size
        self.pause(0)

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            CancelledError: It is cancelled.
        """
        if self._stop.wait(seconds):
            raise CancelledError

    @contextmanager
    def reading(self, stream: BinaryIO) -> Iterator[BinaryIO]:
        """Have a stream closed when it is cancelled, or done.

        Raises:
            CancelledError: It is cancelled.
        """
        with stream:
            with self._lock:
                self._streams.append(stream)
            try:
                self.pause(0)
                yield stream
            finally:
                with self._lock, suppress(ValueError):
                    self._streams.remove(stream)
