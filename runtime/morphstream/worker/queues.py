"""The frames of one stream on their way through a worker: pushed, found, ready; pure, under the worker's lock."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from morphstream.face.look import Look
from morphstream.face.types import FoundFaces
from morphstream.frame import Frame, Timed
from morphstream.stream.run import Late, check_queue
from morphstream.worker.stats import Meter


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pushed:
    """A frame as it came.

    Attributes:
        given: The frame and its time, as they were given, with the frame's number.
        at_s: When it came, by the clock of this process.
    """

    given: Timed[tuple[Frame, float | Fraction]]
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A frame whose faces were found.

    Attributes:
        pushed: As it came.
        faces: Of it.
        look: How they are drawn.
        began_s: When the search began, by the clock of this process.
        found_s: Seconds that it took.
        inference_s: Part of these that engines ran.
    """

    pushed: Pushed
    faces: FoundFaces
    look: Look
    began_s: float
    found_s: float
    inference_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Swapped:
    """A frame that is ready.

    Attributes:
        frame: ``(H, W, 3)`` uint8 BGR; the caller's own.
        time: As it was given to `push`.
        index: Number of the frame among those that were pushed, 0 or more.
        found: The frame as it was, its faces, their tracks, and who they became.
        waited_s: Seconds that it waited for engines.
        found_s: Seconds that finding its faces took.
        drawn_s: Seconds that swapping them took.
        latency_s: Seconds from `push` until it was ready.
        inference_s: Part of both that engines ran.
    """

    frame: Frame
    time: float | Fraction
    index: int
    found: FoundFaces
    waited_s: float
    found_s: float
    drawn_s: float
    latency_s: float
    inference_s: float


class StreamQueues:
    """Where a stream's frames wait: for the finder, for the drawer, and for whoever pulls.

    A stream that drops has one frame of each kind at most, or `queue_size`, and the newest stays; else a full queue
    takes none, and two frames may be found ahead of the one that is next to be drawn, which evens out both engines.

    Attributes:
        meter: Counts them.
        ahead: Most frames that are found before the next one is drawn.
        began_s: When the last search for faces began.
        is_ended: Whether no more come.
        error: What ended the stream; raised after the frames before it.
    """

    def __init__(self, late: Late, queue_size: int) -> None:
        check_queue(queue_size, late)
        self.drops, self._size = late == "drop", queue_size
        self.ahead = 1 if self.drops else 3
        self.meter, self.error = Meter(), cast("BaseException | None", None)
        self._pushed, self._found, self._ready = deque[Pushed](), deque[Found](), deque[Swapped]()
        self.began_s = 0.0
        self.is_ended = self.is_finding = self.is_drawing = self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many frames wait for an engine."""
        return len(self._pushed) + len(self._found)

    @property
    def has_ended(self) -> bool:
        """Whether nothing comes out any more; an error may be left to raise."""
        is_busy = self.is_finding or self.is_drawing
        return self.is_ended and not (self._pushed or self._found or self._ready or is_busy)

    @property
    def ahead_now(self) -> int:
        """How many frames the drawer has to draw, now that there is room for them."""
        return len(self._found) if self._has_room else 0

    @property
    def next(self) -> Found:
        """The frame that is next to be drawn, where there is one."""
        return self._found[0]

    @property
    def _has_room(self) -> bool:
        return self.drops or len(self._ready) < self._size

    @property
    def can_find(self) -> bool:
        """Whether a frame waits for the finder, which may begin it."""
        return bool(self._pushed) and not self.is_finding and len(self._found) < self.ahead

    @property
    def can_draw(self) -> bool:
        """Whether a frame waits for the drawer, and there is room for what it becomes."""
        return bool(self._found) and not self.is_drawing and self._has_room

    def push(self, pushed: Pushed) -> bool:
        """Take a frame; False where the queue is full and drops none, or the stream has ended."""
        is_full = len(self._pushed) >= self._size
        if self.is_ended or (is_full and not self.drops):
            return False
        if is_full:
            self._pushed.popleft()
            self.meter.dropped += 1
        self._pushed.append(pushed)
        self.meter.pushed += 1
        return True

    def begin_find(self) -> Pushed:
        """Return the frame that is next, whose search begins."""
        self.is_finding, self.began_s = True, time.monotonic()
        return self._pushed.popleft()

    def end_find(self, found: Found | None) -> None:
        """Put a frame where the drawer takes it; None for one that isn't needed any more."""
        self.is_finding = False
        if found and not (self.error or self._is_closed):
            self._found.append(found)

    def begin_draw(self) -> Found:
        """Return the frame that is next to be drawn."""
        self.is_drawing = True
        return self._found.popleft()

    def end_draw(self, swapped: Swapped | None) -> None:
        """Put a frame where it is pulled; None for one that isn't needed any more."""
        self.is_drawing = False
        if swapped is None or self._is_closed:
            return
        if self.drops and len(self._ready) >= self._size:
            self._ready.popleft()
            self.meter.dropped += 1
        self._ready.append(swapped)
        self.meter.count(
            latency_s=swapped.latency_s,
            found_s=swapped.found_s,
            drawn_s=swapped.drawn_s,
            inference_s=swapped.inference_s,
            faces=len(swapped.found.faces),
        )

    def pull(self, *, newest: bool) -> Sequence[Swapped]:
        """Return the next frame, or the newest, whose elders are dropped; nothing where none is ready."""
        while newest and len(self._ready) > 1:
            self._ready.popleft()
            self.meter.dropped += 1
        return [self._ready.popleft()] if self._ready else []

    def fail(self, error: BaseException, *, is_drawn: bool) -> None:
        """End the stream at a frame that was refused, while it was found or drawn; those before it still come."""
        if is_drawn:
            self._found.clear()
        if is_drawn or not self.error:  # what is drawn was pushed before what is found
            self.error = error
        self._pushed.clear()
        self.is_ended = True

    def clear(self) -> None:
        """End the stream, and forget what it has."""
        self.is_ended = self._is_closed = True
        self.error = None
        for queue in (self._pushed, self._found, self._ready):
            queue.clear()
