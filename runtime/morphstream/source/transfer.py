"""A transfer: how many bytes have come, and whether it was cancelled."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from functools import partial
from typing import BinaryIO, TypeVar

from morphstream.source.progress import progress
from morphstream.source.source import Source

T = TypeVar("T")


class Transfer:
    """A transfer that other threads may watch and cancel.

    Attributes:
        total_bytes: Size of everything that is transferred; 0 until it is known.
        done_bytes: Size of what has come.
    """

    def __init__(self) -> None:
        self.total_bytes = self.done_bytes = 0
        self._lock, self._is_cancelled = threading.Lock(), threading.Event()
        self._interrupts = list[Callable[[], object]]()
        self._show: Callable[[int], object] = lambda _: None

    def cancel(self) -> None:
        """Cancel the transfer from any thread; streams are closed, so that a read that waits for bytes ends too."""
        self._is_cancelled.set()
        with self._lock:
            interrupts = tuple(self._interrupts)
        for interrupt in interrupts:
            interrupt()

    @contextmanager
    def begin(self, what: str, total_bytes: int) -> Iterator[None]:
        """Count from 0 to a total, again for another source; a terminal shows how far that is."""
        with self._lock:
            self.total_bytes, self.done_bytes = total_bytes, 0
        with progress(what, total_bytes) as self._show:
            yield

    def add(self, size: int) -> None:
        """Count bytes that have come; raises CancelledError if the transfer is cancelled."""
        with self._lock:
            self.done_bytes += size
        self._show(size)
        self.pause(0)

    def pause(self, seconds: float) -> None:
        """Wait; raises CancelledError if the transfer is cancelled."""
        if self._is_cancelled.wait(seconds):
            raise CancelledError

    @contextmanager
    def on_cancel(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Call a function, such as a stream's `close`, if the transfer is cancelled during the block."""
        with self._lock:
            self._interrupts.append(interrupt)
        try:
            self.pause(0)
            yield
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)

    def call(
        self, function: Callable[[], T], discard: Callable[[T], object] = lambda _: None, timeout_s: float | None = None
    ) -> T:
        """Return what a function that can't be interrupted, as connecting can't, returns in a thread of its own.

        If the transfer is cancelled, CancelledError is raised at once, and TimeoutError after a time; the result is
        discarded when it comes.
        """
        result = Future[T]()

        def run() -> None:
            try:
                value = function()
            except BaseException as error:  # noqa: BLE001 # it is raised where the result is waited for
                with suppress(InvalidStateError):
                    result.set_exception(error)
            else:
                try:
                    result.set_result(value)
                except InvalidStateError:
                    discard(value)

        with self.on_cancel(result.cancel):
            threading.Thread(target=run, name="morphstream-call", daemon=True).start()
            try:
                return result.result(timeout_s)
            finally:
                result.cancel()  # which has no effect on one that is here


class Cancellable:
    """A source whose calls end when a transfer is cancelled."""

    def __init__(self, source: Source, transfer: Transfer) -> None:
        self._source, self._transfer = source, transfer

    def __str__(self) -> str:
        return str(self._source)

    def read(self, path: str) -> bytes:
        """Return a small file."""
        return self._transfer.call(partial(self._source.read, path))

    def open(self, path: str) -> BinaryIO:
        """Open a file."""
        return self._transfer.call(partial(self._source.open, path), discard=lambda stream: stream.close())
