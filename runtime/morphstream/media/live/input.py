"""A live input: reads in a thread of its own, keeps the newest frame, and connects again."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from fractions import Fraction
from typing import Protocol

from morphstream.artifact.errors import VideoError, message_of
from morphstream.closing import Closing
from morphstream.media.live.items import LiveFrame, Picture, Sound
from morphstream.media.live.retry import STEADY_S, waits_s
from morphstream.media.live.timeline import PICTURES, SOUND, Timeline

_PAUSED_S = 1.0  # without a frame
_JOIN_S = 1.0  # what waits in the network longer ends by itself, at its time-out
_MOST_LATE_S = 5  # of a file that was held up by more the rest is shown at its own speed again
_MOST_SOUND = 500  # pieces; some 10 s
_LEAST_STEP = Fraction(1, 1000)


class Feed(Protocol):
    """What an input reads from, while it is connected.

    Attributes:
        has_sound: Whether it has sound.
        is_paced: Whether it could be read faster than it is to be shown, as a file.
        is_finite: Whether its end is the end of all, as of a file, and no loss.
    """

    has_sound: bool
    is_paced: bool
    is_finite: bool

    def read(self) -> Picture | Sound | None:
        """Return what comes next, each kind in the order of its times; None at the end.

        Raises:
            VideoError: It can't be read on.
        """
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


class LiveInput(Closing):
    """The frames of a camera, a file or an address as they come; a context manager, for one reading thread.

    Of frames that aren't read in time the newest stays. A lost connection is made again after 1, 2, 4 up to 30 s.

    Attributes:
        name: In messages.
        has_sound: Whether it has sound; known once the first frame is read.
        frames: How many came.
        dropped: How many of them made room for newer ones.
        reconnects: How many times a connection was lost or refused.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Feed],
        *,
        loop: bool = False,
        retries: bool = True,
        now: Callable[[], float] = time.monotonic,
        waits: Callable[[], Iterator[float]] = waits_s,
    ) -> None:
        """Begin to read.

        Args:
            name: In messages.
            connect: Opens it; called in the input's thread, anew for each connection. Raises VideoError.
            loop: Whether it begins anew at its end.
            retries: Whether it is connected anew after an error; else `read` raises that.
            now: The clock, in seconds.
            waits: Returns the seconds to wait after each failure in turn.
        """
        self.name, self.has_sound = name, False
        self.frames = self.dropped = self.reconnects = 0
        self._connect, self._loop, self._retries, self._now, self._waits = connect, loop, retries, now, waits
        self._timeline, self._last = Timeline(now), Fraction(-1)
        self._origin: float | None = None  # when time 0 of a file is shown
        self._changed = threading.Condition()
        self._picture: tuple[Picture, Fraction, float] | None = None
        self._sound = deque[Sound](maxlen=_MOST_SOUND)
        self._error: Exception | None = None
        self._state, self._came, self._has_ended = "connecting", now(), False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="morphstream-input", daemon=True)
        self._thread.start()

    @property
    def state(self) -> str:
        """What it does: ``connecting``, ``live``, ``paused``, ``reconnecting in 2 s: ...``, ``ended``."""
        with self._changed:
            is_paused = self._state == "live" and self._now() - self._came > _PAUSED_S
            return "paused" if is_paused else self._state

    @property
    def has_ended(self) -> bool:
        """Whether no more frames come."""
        with self._changed:
            return self._has_ended and self._picture is None

    def read(self, timeout_s: float | None = None) -> LiveFrame | None:
        """Return the newest frame once there is one that wasn't read; None at the end, or after a time.

        Raises:
            VideoError: It can't be read, and isn't connected anew.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._picture or self._has_ended, timeout_s)
            taken, self._picture = self._picture, None
            if taken is None:
                if self._error:
                    raise self._error
                return None
        picture, placed, arrived = taken
        return LiveFrame(frame=picture.to_frame(), time=placed, arrived=arrived)

    def read_sound(self) -> list[Sound]:
        """Return the sound that came since the last call, 10 s at most; never waits."""
        with self._changed:
            pieces = list(self._sound)
            self._sound.clear()
            return pieces

    def close(self) -> None:
        """Disconnect; a thread that waits for the network is left to end at its time-out."""
        self._closed.set()
        self._end(None)
        with suppress(RuntimeError):  # closed by its own thread
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        waits, error = self._waits(), None
        try:
            while not self._closed.is_set():
                began, seen = self._now(), "its end"
                try:
                    if self._read_all():
                        if not self._loop:
                            break
                        continue
                except VideoError as failure:
                    if not self._retries:
                        raise
                    seen = message_of(failure)
                waits = self._waits() if self._now() - began > STEADY_S else waits
                self._wait(next(waits), seen)
        except Exception as failure:  # noqa: BLE001  # raised where frames are read
            error = failure
        self._end(error)

    def _read_all(self) -> bool:
        """Read one connection to its end, and return whether that is the end of all."""
        came = self.frames
        self._timeline.restart()
        with closing(self._connect()) as feed:
            self.has_sound = feed.has_sound
            while not self._closed.is_set() and (item := feed.read()) is not None:
                self._take(item, is_paced=feed.is_paced)
            if feed.is_finite and came == self.frames and not self._closed.is_set():
                raise VideoError(f"{self.name}: expected pictures that can be decoded, seen none; fetch it again")
            return feed.is_finite

    def _take(self, item: Picture | Sound, *, is_paced: bool) -> None:
        if isinstance(item, Sound):
            placed = self._timeline.time_of(SOUND, item.time)
            with self._changed:
                self._sound.append(Sound(samples=item.samples, time=placed))
            return
        placed = self._last = max(self._timeline.time_of(PICTURES, item.time), self._last + _LEAST_STEP)
        if is_paced:
            self._wait_until_due(placed)
        with self._changed:
            self.frames += 1
            self.dropped += self._picture is not None
            self._came = self._now()
            self._picture, self._state = (item, placed, self._came), "live"
            self._changed.notify()

    def _wait_until_due(self, placed: Fraction) -> None:
        now = self._now()
        if self._origin is None or now - self._origin - placed > _MOST_LATE_S:
            self._origin = now - float(placed)
        self._closed.wait(max(0.0, self._origin + float(placed) - now))

    def _wait(self, wait_s: float, seen: str) -> None:
        with self._changed:
            self.reconnects += 1
            self._state = f"reconnecting in {wait_s:g} s: {seen}"
        self._closed.wait(wait_s)

    def _end(self, error: Exception | None) -> None:
        with self._changed:
            self._error, self._has_ended, self._state = self._error or error, True, "ended"
            self._changed.notify_all()
