"""How far a transfer is, and whether anybody still waits for it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError as AbandonedError
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from functools import partial
from typing import BinaryIO, TypeVar

from morphstream.source.source import Source

T = TypeVar("T")


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
        self._lock, self._stop, self._ends = threading.Lock(), threading.Event(), list[Callable[[], object]]()

    def cancel(self) -> None:
        """End it, from any thread: what is read is closed, so that waiting for bytes ends, too."""
        self._stop.set()
        with self._lock:
            ends = tuple(self._ends)
        for end in ends:
            end()

    def restart(self) -> None:
        """Begin anew, as with another source."""
        with self._lock:
            self.total_bytes = self.done_bytes = 0

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
        with stream, self._ending(stream.close):
            yield stream

    def ask(self, question: Callable[[], T], drop: Callable[[T], object] = lambda _: None) -> T:
        """Return what a question gives, or raise what it raises; it is asked in a thread of its own.

        Args:
            question: May take long to answer, and can't be cut short, as connecting can't.
            drop: Takes an answer that came too late.

        Raises:
            CancelledError: It is cancelled. The thread goes on until the question ends.
        """
        answer = Future[T]()

        def run() -> None:
            try:
                given = question()
            except BaseException as error:  # noqa: BLE001 # it is raised where the answer is waited for
                with suppress(InvalidStateError):
                    answer.set_exception(error)
                return
            try:
                answer.set_result(given)
            except InvalidStateError:
                drop(given)

        with self._ending(answer.cancel):
            threading.Thread(target=run, name="morphstream-ask", daemon=True).start()
            try:
                return answer.result()
            except AbandonedError:
                raise CancelledError from None

    @contextmanager
    def _ending(self, end: Callable[[], object]) -> Iterator[None]:
        """Have something ended when it is cancelled meanwhile."""
        with self._lock:
            self._ends.append(end)
        try:
            self.pause(0)
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


class Cancellable:
    """A source that nobody waits for any more when a transfer is cancelled, whatever it is at."""

    def __init__(self, source: Source, transfer: Transfer) -> None:
        self._source, self._transfer = source, transfer

    def __str__(self) -> str:
        return str(self._source)

    def read(self, path: str) -> bytes:
        """Return a small file; raises as `Source` says, or CancelledError."""
        return self._transfer.ask(partial(self._source.read, path))

    def open(self, path: str) -> BinaryIO:
        """Open a file; raises as `Source` says, or CancelledError."""
        return self._transfer.ask(partial(self._source.open, path), drop=lambda stream: stream.close())
