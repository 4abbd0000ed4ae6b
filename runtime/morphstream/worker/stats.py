"""What a stream of a worker has done of late, as numbers; memory is fixed."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_LATE = 256  # frames that quantiles are of
_MEAN = 64  # frames that means are of
_WINDOW_S = 2.0  # that frames a second are counted in


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStats:
    """What a stream has done: since it was opened, and, in seconds, of late.

    Attributes:
        name: Of the stream.
        pushed: Frames that were taken.
        swapped: Frames that came out of the engines.
        dropped: Frames that made room for newer ones, before they were swapped or after.
        waiting: Frames that wait for an engine now.
        fps: Frames swapped a second, in the last two seconds.
        p50_s: Latency, from `push` until a frame is ready: that of half the last 256 frames is less.
        p95_s: Of 95 in 100.
        p99_s: Of 99 in 100.
        find_s: Mean of finding the faces, of the last 64 frames.
        draw_s: Mean of swapping them.
        inference_s: Part of both that engines ran.
        host_s: The rest of both.
        swap_model: Name of the swap model of the last frame.
        faces: Faces of the last frame.
    """

    name: str
    pushed: int
    swapped: int
    dropped: int
    waiting: int
    fps: float
    p50_s: float
    p95_s: float
    p99_s: float
    find_s: float
    draw_s: float
    inference_s: float
    host_s: float
    swap_model: str
    faces: int


class Meter:
    """Counts the frames of a stream; whoever calls it holds the worker's lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.pushed = self.swapped = self.dropped = self.faces = 0
        self._clock, self._begun_s = clock, clock()
        self._ready_s = deque[float](maxlen=_LATE)
        self._latencies = deque[float](maxlen=_LATE)
        self._parts = deque[tuple[float, float, float]](maxlen=_MEAN)

    def count(self, *, latency_s: float, found_s: float, drawn_s: float, inference_s: float, faces: int) -> None:
        """Count a frame that is ready."""
        self.swapped += 1
        self.faces = faces
        self._ready_s.append(self._clock())
        self._latencies.append(latency_s)
        self._parts.append((found_s, drawn_s, inference_s))

    @property
    def found_s(self) -> float:
        """Mean of finding faces, seconds; 0 before the first frame."""
        return self._mean(0)

    @property
    def longest_s(self) -> float:
        """The longest search for faces, seconds; 0 before the first frame."""
        return max((part[0] for part in self._parts), default=0.0)

    @property
    def drawn_s(self) -> float:
        """Mean of swapping them, seconds; 0 before the first frame."""
        return self._mean(1)

    def stats(self, name: str, swap_model: str, waiting: int) -> StreamStats:
        """Return all that was counted."""
        found_s, drawn_s, inference_s = self.found_s, self.drawn_s, self._mean(2)
        now, ordered = self._clock(), sorted(self._latencies)
        late = sum(now - ready_s < _WINDOW_S for ready_s in self._ready_s)
        p50_s, p95_s, p99_s = (_quantile(ordered, share) for share in (0.5, 0.95, 0.99))
        return StreamStats(
            name=name,
            pushed=self.pushed,
            swapped=self.swapped,
            dropped=self.dropped,
            waiting=waiting,
            fps=late / max(min(_WINDOW_S, now - self._begun_s), 1e-3),
            p50_s=p50_s,
            p95_s=p95_s,
            p99_s=p99_s,
            find_s=found_s,
            draw_s=drawn_s,
            inference_s=inference_s,
            host_s=max(0.0, found_s + drawn_s - inference_s),
            swap_model=swap_model,
            faces=self.faces,
        )

    def _mean(self, place: int) -> float:
        return sum(part[place] for part in self._parts) / max(1, len(self._parts))


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
