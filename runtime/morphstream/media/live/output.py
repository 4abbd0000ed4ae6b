"""A live output: writes in a thread of its own, drops what is late, and connects again."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from typing import Protocol

from morphstream.artifact.errors import message_of
from morphstream.closing import Closing
from morphstream.frame import Frame
from morphstream.media.live.items import LiveFrame, Sound
from morphstream.media.live.retry import STEADY_S, waits_s
from morphstream.process import line_of

_MOST_WAITING, _MOST_SOUND = 2, 500  # frames; pieces, some 10 s
_IDLE_S = 0.1  # how often a window looks whether it is closed
_JOIN_S = 10.0  # to write what waits, and the end of a file


class Sink(Protocol):
    """What an output writes to, while it is connected."""

    def put(self, item: LiveFrame | Sound | None) -> bool:
        """Write a frame or sound, None where nothing came for a moment; return False if it wants no more.

        Raises:
            VideoError: It can't be written.
            OSError: It can't be written.
        """
        ...

    def close(self) -> None:
        """Write the end, and disconnect; errors as of `put`."""
        ...


class LiveOutput(Closing):
    """Where the frames of a live run go; a context manager.

    Attributes:
        name: In messages.
        written: How many frames were written.
        dropped: How many frames were late and made room for newer ones.
        reconnects: How many times a connection was lost or refused.
        error: What ended it; None for nothing.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[bool], Sink],
        *,
        retries: bool,
        waits: Callable[[], Iterator[float]] = waits_s,
    ) -> None:
        """Prepare; nothing is opened before `start`.

        Args:
            name: In messages.
            connect: Opens it; called in the output's thread, with whether there is sound. Raises VideoError or OSError.
            retries: Whether it is connected anew after an error; else that ends it.
            waits: Returns the seconds to wait after each failure in turn.
        """
        self.name, self.written, self.dropped, self.reconnects = name, 0, 0, 0
        self.error: Exception | None = None
        self._connect, self._retries, self._waits, self._has_sound = connect, retries, waits, False
        self._changed, self._closed = threading.Condition(), threading.Event()
        self._queue = deque[LiveFrame | Sound]()
        self._state, self._has_ended = "waiting for frames", False
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> str:
        """What it does: ``waiting for frames``, ``live``, ``reconnecting in 2 s: ...``, ``ended``, ``failed: ...``."""
        with self._changed:
            return self._state

    @property
    def has_ended(self) -> bool:
        """Whether it takes no more, as a window that was closed."""
        with self._changed:
            return self._has_ended

    def start(self, *, has_sound: bool) -> None:
        """Begin to write; a file or a stream that `has_sound` gets a track for it."""
        self._has_sound = has_sound
        self._thread = threading.Thread(target=self._run, name="morphstream-output", daemon=True)
        self._thread.start()

    def write(self, frame: Frame, time: Fraction) -> None:
        """Write a frame, which isn't modified from now on; never waits, and drops the oldest where too many wait."""
        with self._changed:
            waiting = [item for item in self._queue if isinstance(item, LiveFrame)]
            if len(waiting) >= _MOST_WAITING:
                self._queue.remove(waiting[0])
                self.dropped += 1
            self._put(LiveFrame(frame=frame, time=time, arrived=0))

    def write_sound(self, sound: Sound) -> None:
        """Write sound; as `write`."""
        with self._changed:
            if len(self._queue) < _MOST_SOUND:
                self._put(sound)

    def close(self) -> None:
        """Write what waits, and end; what can't be written within 10 s is left."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
        if self._thread:
            self._thread.join(_JOIN_S)

    def _put(self, item: LiveFrame | Sound) -> None:
        if not self._has_ended:
            self._queue.append(item)
            self._changed.notify()

    def _run(self) -> None:
        waits = self._waits()
        while not self._has_ended:
            began, error = time.monotonic(), self._write_all()
            if error is None or not self._retries or self._closed.is_set():
                self._end(error)
                return
            waits = self._waits() if time.monotonic() - began > STEADY_S else waits
            wait_s = next(waits)
            with self._changed:
                self.reconnects += 1
                self._state = f"reconnecting in {wait_s:g} s: {line_of_error(error)}"
            self._closed.wait(wait_s)

    def _write_all(self) -> Exception | None:
        """Connect, and write until the end; return the error that came before it."""
        try:
            with closing(self._connect(self._has_sound)) as sink:
                while not self._is_over() and sink.put(item := self._take()):
                    if isinstance(item, LiveFrame):
                        self._count()
        except Exception as error:  # noqa: BLE001  # raised by the run, unless it is tried again
            return error
        return None

    def _count(self) -> None:
        with self._changed:
            self.written += 1
            self._state = "live"

    def _is_over(self) -> bool:
        with self._changed:
            return self._closed.is_set() and not self._queue

    def _take(self) -> LiveFrame | Sound | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed.is_set(), _IDLE_S)
            return self._queue.popleft() if self._queue else None

    def _end(self, error: Exception | None) -> None:
        with self._changed:
            self.error, self._has_ended = error, True
            self._state = f"failed: {line_of_error(error)}" if error else "ended"
            self._queue.clear()


def line_of_error(error: Exception) -> str:
    """Return a refusal or a system's error in one line."""
    return message_of(line_of(error, "name another") if isinstance(error, OSError) else error)
