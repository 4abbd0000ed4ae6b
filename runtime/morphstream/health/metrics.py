"""What a process has done, as numbers that Prometheus reads.

Conventions: one `Metrics` for a process, made where it starts and given to what needs it; times are seconds. Memory is
fixed: a histogram has its buckets, and a label no more than `MOST_VALUES` values.

Source: prometheus.io, "Exposition formats", text format 0.0.4.
"""

import math
import threading
from bisect import bisect_left
from collections.abc import Iterator
from typing import Literal

from morphstream.boot.boot import BootReport

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A histogram, not a summary: its memory is fixed and its counts of many processes add up, so that any quantile over
# any time is asked of Prometheus, by histogram_quantile. Bounds lie at frames of 60, 30 and 25 a second, too.
BUCKETS = (
    *(0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 0.01, 0.0125, 0.0167, 0.02, 0.025, 0.0334, 0.04, 0.05),
    *(0.075, 0.1, 0.15, 0.25, 0.5, 1.0),
)
MOST_VALUES = 32  # of a label; what comes later is counted as OTHER
OTHER = "other"
_MOST_LETTERS = 200  # of a value or a reason


class Metrics:
    """Counters, gauges and a histogram of one process; for many threads.

    It is unready until `set_ready`, and says why.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # one for all, so that numbers read together belong together
        self._unready: str | None = "nothing is open yet"
        self._boot = _Numbers("boot_seconds", "Seconds of each step of the last boot.", "gauge", "step")
        self._frames = _Numbers("frames_total", "Frames that were swapped.", "counter")
        self._faces = _Numbers("faces_total", "Faces that were swapped.", "counter")
        self._frame_seconds = _Histogram("frame_seconds", "Seconds that a frame's swap took.", BUCKETS)
        self._hits = _Numbers("cache_hits_total", "Boots that found their store good.", "counter")
        self._misses = _Numbers("cache_misses_total", "Boots that had to fill their store.", "counter")
        self._fallbacks = _Numbers("fallbacks_total", "Times that the second best was taken.", "counter", "reason")
        self._ready = _Numbers("ready", "1 while the engines are open and warm, else 0.", "gauge")

    def boot(self, report: BootReport) -> None:
        """Take what a boot did; steps of one name add up, and those of an earlier boot are gone.

        Each of its fallbacks is counted, as `count_fallback` does. The report may come out of a file.

        Raises:
            ValueError: Something in it is no text, or no seconds; nothing of it was taken.
        """
        texts = (*(step.name for step in report.steps), *report.fallbacks)
        odd: list[object] = [text for text in texts if not isinstance(text, str)]
        odd += [step.seconds for step in report.steps if not _is_time(step.seconds)]
        if odd:
            raise ValueError(f"boot report: expected names, and seconds of 0 or more, seen {odd[0]!r}")
        with self._lock:
            self._boot.clear()
            for step in report.steps:
                self._boot.add(step.seconds, step.name)
            (self._hits if report.was_good else self._misses).add(1)
            for reason in report.fallbacks:
                self._fallbacks.add(1, _line(reason))

    def set_opened(self, seconds: float) -> None:
        """Take how long the engines took to open, as the step ``open`` of the boot."""
        with self._lock:
            self._boot.set(seconds, "open")

    def count_frame(self, seconds: float, *, faces: int) -> None:
        """Count a frame that was swapped.

        Args:
            seconds: That it took, 0 or more.
            faces: That were swapped in it, 0 or more.

        Raises:
            ValueError: A number is below 0, or none.
        """
        if not (0 <= seconds < math.inf and faces >= 0):
            raise ValueError(f"expected seconds and faces of 0 or more, seen {seconds} and {faces}")
        with self._lock:
            self._frame_seconds.observe(seconds)
            self._frames.add(1)
            self._faces.add(faces)

    def count_fallback(self, reason: str) -> None:
        """Count that the second best was taken.

        Args:
            reason: A few words out of a small vocabulary, such as ``rtx portable``; anyone may read them.
        """
        with self._lock:
            self._fallbacks.add(1, _line(reason))

    @property
    def unready(self) -> str | None:
        """Why the process isn't ready, in one line; None when it is."""
        return self._unready

    def set_ready(self) -> None:
        """Say that the engines are open and warm."""
        with self._lock:
            self._unready = None

    def set_unready(self, reason: str) -> None:
        """Say that they aren't any more, or not yet, and why; anyone may read it."""
        with self._lock:
            self._unready = _line(reason) or "not ready"

    def text(self) -> str:
        """Return every number in Prometheus' text format."""
        numbers = (self._boot, self._frames, self._faces, self._hits, self._misses, self._fallbacks, self._ready)
        with self._lock:
            self._ready.set(int(self._unready is None))
            lines = [line for metric in (*numbers, self._frame_seconds) for line in metric.lines()]
        return "".join(f"{line}\n" for line in lines)


class _Numbers:
    """A counter or a gauge, or one for each value of a label; for one thread."""

    def __init__(self, name: str, told: str, kind: Literal["counter", "gauge"], label: str = "") -> None:
        self._name, self._told, self._kind, self._label = f"morphstream_{name}", told, kind, label
        self._values: dict[str, float] = {}
        self.clear()

    def clear(self) -> None:
        self._values = {} if self._label else {"": 0}

    def add(self, amount: float, value: str = "") -> None:
        place = self._place(value)
        self._values[place] = self._values.get(place, 0) + amount

    def set(self, number: float, value: str = "") -> None:
        self._values[self._place(value)] = number

    def _place(self, value: str) -> str:
        return value if value in self._values or len(self._values) < MOST_VALUES - 1 else OTHER

    def lines(self) -> Iterator[str]:
        yield from _head(self._name, self._told, self._kind)
        for value, number in self._values.items():
            label = f'{{{self._label}="{_escaped(value)}"}}' if self._label else ""
            yield f"{self._name}{label} {_number(number)}"


class _Histogram:
    """How many observations lie below each bound; for one thread."""

    def __init__(self, name: str, told: str, bounds: tuple[float, ...]) -> None:
        self._name, self._told, self._bounds = f"morphstream_{name}", told, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, number: float) -> None:
        self._counts[bisect_left(self._bounds, number)] += 1  # a bound belongs to its own bucket
        self._sum += number

    def lines(self) -> Iterator[str]:
        yield from _head(self._name, self._told, "histogram")
        total = 0
        for bound, count in zip((*self._bounds, math.inf), self._counts, strict=True):
            total += count
            yield f'{self._name}_bucket{{le="{_number(bound)}"}} {total}'
        yield f"{self._name}_sum {_number(self._sum)}"
        yield f"{self._name}_count {total}"


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 <= seconds < math.inf


def _head(name: str, told: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {told}"  # ours, without a backslash or a line's end to escape
    yield f"# TYPE {name} {kind}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(number: float) -> str:
    if number == math.inf:
        return "+Inf"
    return str(number) if isinstance(number, int) else repr(float(number))  # float: NumPy's have another repr


def _line(text: str) -> str:
    return " ".join(text.split())[:_MOST_LETTERS]
