"""What a process has done, as numbers that Prometheus reads.

Conventions: one `Metrics` for a process, made where it starts and given to what needs it; times are seconds. Memory is
fixed: a histogram has its buckets, and a label no more than `MOST_VALUES` values.

Source: prometheus.io, "Exposition formats", text format 0.0.4.
"""

import math
import re
import threading

from morphstream.artifact.errors import MorphstreamError
from morphstream.boot.report import BootReport

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
except ModuleNotFoundError as error:
    raise MorphstreamError(
        f"metrics: expected prometheus_client, seen none ({error}); run: pip install 'morphstream[health]'"
    ) from error

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A histogram, not a summary: its memory is fixed and its counts of many processes add up, so that any quantile over
# any time is asked of Prometheus, by histogram_quantile. Bounds include frames of 60, 30 and 25 a second.
BUCKETS = (
    *(0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 0.01, 0.0125, 0.0167, 0.02, 0.025, 0.0334, 0.04, 0.05),
    *(0.075, 0.1, 0.15, 0.25, 0.5, 1.0),
)
MOST_VALUES = 32  # of a label; what comes later is counted as OTHER
OTHER = "other"
_MOST_LETTERS = 200  # of a value or a reason
_CREATED = re.compile(r"^(# (HELP|TYPE) )?morphstream_\w+_created\b.*\n", re.MULTILINE)  # when a series began: noise


class Metrics:
    """Counters, gauges and a histogram of one process; for many threads.

    It is unready until `set_ready`, and says why.
    """

    def __init__(self, worker: CollectorRegistry = REGISTRY) -> None:
        """Begin at 0.

        Args:
            worker: Other metrics of the process, which `text` appends; by default those that its code registered with
                prometheus_client, and Python's and the process' own.
        """
        own = self._own = CollectorRegistry()
        self._worker = worker
        self._lock = threading.Lock()  # one for all, so that numbers read together belong together
        self._unready: str | None = "nothing is open yet"
        self._steps, self._reasons = set[str](), set[str]()
        self._boot = Gauge("morphstream_boot_seconds", "Seconds of each step of the last boot.", ["step"], registry=own)
        self._frames = Counter("morphstream_frames_total", "Frames that were swapped.", registry=own)
        self._faces = Counter("morphstream_faces_total", "Faces that were swapped.", registry=own)
        self._hits = Counter("morphstream_cache_hits_total", "Boots that found their store good.", registry=own)
        self._misses = Counter("morphstream_cache_misses_total", "Boots that had to fill their store.", registry=own)
        self._fallbacks = Counter(
            "morphstream_fallbacks_total", "Times that the second best was taken.", ["reason"], registry=own
        )
        ready = Gauge("morphstream_ready", "1 while the engines are open and warm, else 0.", registry=own)
        ready.set_function(lambda: self._unready is None)
        self._frame_seconds = Histogram(
            "morphstream_frame_seconds", "Seconds that a frame's swap took.", buckets=BUCKETS, registry=own
        )

    def record_boot(self, report: BootReport) -> None:
        """Record what a boot did; steps of one name add up, and those of an earlier boot are removed.

        Each of its fallbacks is counted, as `count_fallback` does. The report may come out of a file.

        Raises:
            ValueError: Something in it is no text, or no seconds; nothing of it was recorded.
        """
        texts = (*(step.name for step in report.steps), *report.fallbacks)
        odd: list[object] = [text for text in texts if not isinstance(text, str)]
        odd += [step.seconds for step in report.steps if not _is_time(step.seconds)]
        if odd:
            raise ValueError(f"boot report: expected names, and seconds of 0 or more, seen {odd[0]!r}")
        with self._lock:
            self._boot.clear()
            self._steps.clear()
            for step in report.steps:
                self._boot.labels(_bounded(step.name, self._steps)).inc(step.seconds)
            (self._hits if report.was_good else self._misses).inc()
        for reason in report.fallbacks:
            self.count_fallback(reason)

    def set_boot_step(self, name: str, seconds: float) -> None:
        """Set how long a step took that came after the boot, such as ``open``."""
        with self._lock:
            self._boot.labels(_bounded(name, self._steps)).set(seconds)

    def count_frame(self, seconds: float, faces: int) -> None:
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
            self._frames.inc()
            self._faces.inc(faces)

    def count_fallback(self, reason: str) -> None:
        """Count that the second best was used.

        Args:
            reason: A few words out of a small vocabulary, such as ``rtx portable``; anyone may read them.
        """
        with self._lock:
            self._fallbacks.labels(_bounded(_line(reason), self._reasons)).inc()

    @property
    def unready(self) -> str | None:
        """Why the process isn't ready, in one line; None when it is."""
        return self._unready

    def set_ready(self) -> None:
        """Set that the engines are open and warm."""
        self._unready = None

    def set_unready(self, reason: str) -> None:
        """Set that they aren't any more, or not yet, and why; anyone may read it."""
        self._unready = _line(reason) or "not ready"

    def text(self) -> str:
        """Return every number in Prometheus' text format."""
        with self._lock:
            own = generate_latest(self._own).decode()
        return _CREATED.sub("", own) + generate_latest(self._worker).decode()


def _bounded(value: str, values: set[str]) -> str:
    """Add a label's value to those used so far, or `OTHER` where they are too many, and return which."""
    value = value if value in values or len(values) < MOST_VALUES - 1 else OTHER
    values.add(value)
    return value


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 <= seconds < math.inf


def _line(text: str) -> str:
    return " ".join(text.split())[:_MOST_LETTERS]
