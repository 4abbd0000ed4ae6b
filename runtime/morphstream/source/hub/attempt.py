"""One attempt to ask the Hub: how it failed, how long it may wait, and sockets that wait no longer.

Source: socketmodule.c and _ssl.c of CPython: a time-out bounds a whole handshake and what is sent, but each read alone.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from morphstream.artifact.errors import FetchError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

LEAST_BYTES = 1 << 15  # in the time of an attempt, or it is too slow; after as many, time and attempts count anew

_thread = threading.local()  # its clock is the one that runs in this thread


@dataclass(slots=True, eq=False)
class AttemptError(Exception):
    """One attempt failed.

    Attributes:
        notes: What the other side said of it; may hold secrets.
        wait_s: Seconds that the other side asks to wait before a retry; None where a retry can't help.
        status: HTTP status of the answer; 0 where none came.
        kind: Class of the refusal.
        waited_s: How long the other side was waited for without progress.
    """

    expected: str
    seen: str
    remedy: str
    notes: str = ""
    wait_s: float | None = 0.0
    status: int = 0
    kind: type[FetchError] = FetchError
    waited_s: float = 0.0


class Clock:
    """Counts the time in which one attempt waits for the other side, and no other.

    Attributes:
        limit_s: How long it may wait while fewer than LEAST_BYTES come.
        timeout_s: The same of all attempts, as a refusal names it.
        came: How many bytes have come meanwhile.
    """

    def __init__(self, limit_s: float, timeout_s: float) -> None:
        self.limit_s, self.timeout_s, self.came = limit_s, timeout_s, 0
        self._waited_s = self._start = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of a block, and bound its sockets; an `AttemptError` of it says how long was waited."""
        self._start, _thread.clock = time.monotonic(), self
        try:
            yield
        except AttemptError as error:
            error.waited_s = self.limit_s - self.left_s()
            raise
        finally:
            self._waited_s, _thread.clock = self.limit_s - self.left_s(), None

    def left_s(self) -> float:
        """Return how long the block that runs may still wait."""
        return self.limit_s - self._waited_s - (time.monotonic() - self._start)

    def count(self, size: int) -> None:
        """Count bytes that have come, or gone; begin anew where they are enough."""
        self.came += size
        if self.came >= LEAST_BYTES:
            self.came, self._waited_s, self._start = 0, 0.0, time.monotonic()


class TimedSocket(socket.socket):
    """A socket whose thread waits no longer than the clock that runs in it allows, however little comes at a time."""

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """Receive bytes in the time that is left."""
        _set_timeout(self)
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        """Send bytes in the time that is left."""
        _set_timeout(self)
        super().sendall(data, flags)


class TimedTLS(ssl.SSLSocket):
    """The same, over TLS."""

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0) -> int:
        """Receive bytes in the time that is left."""
        _set_timeout(self)
        return super().recv_into(buffer, nbytes, flags)

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        """Send bytes in the time that is left; `sendall` does it by this."""
        _set_timeout(self)
        return super().send(data, flags)


def _set_timeout(connection: socket.socket) -> None:
    if clock := getattr(_thread, "clock", None):
        if (left_s := clock.left_s()) <= 0:
            raise TimeoutError("timed out")
        if not 0.98 < (connection.gettimeout() or 0.0) / left_s < 1.02:  # setting it is a call of the system's
            connection.settimeout(left_s)
