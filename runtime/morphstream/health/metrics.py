"""What a process has done, as numbers that Prometheus reads.

Conventions: one `Metrics` for a process, made where it starts and given to what needs it; times are seconds. Memory is
fixed: a histogram has its buckets, and a label no more than `MOST_VALUES` values.
"""

import math
import re
import threading
from collections.abc import Callable, Sequence

from morphstream.artifact.errors import MorphstreamError
from morphstream.boot.report import BootReport
from morphstream.machine.gpus import Gpu, read_gpus
from morphstream.worker.stats import StreamStats

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
_NO_STREAM = ""  # which Prometheus reads as no label
_UNNAMED = re.compile(r'\{stream=""\}|,stream=""')
_CREATED = re.compile(r"^(# (HELP|TYPE) )?morphstream_\w+_created\b.*\n", re.MULTILINE)  # when a series began: noise


class Metrics:
    """Counters, gauges and a histogram of one process, for many threads; unready until `set_ready`, and why.

    Attributes:
        unready: Why the process isn't ready, in one line that anyone may read; None when it is.
    """

    def __init__(
        self, worker: CollectorRegistry = REGISTRY, read_gpus: Callable[[], Sequence[Gpu]] = read_gpus
    ) -> None:
        """Begin at 0; `text` appends what the worker's own code and prometheus_client registered.

        Args:
            worker: Where these are registered.
            read_gpus: Asks the GPUs of the machine, each time that `text` is called.
        """
        self.unready: str | None = "nothing is open yet"
        self._worker, self._own, self._read_gpus = worker, (own := CollectorRegistry()), read_gpus
        self._lock = threading.Lock()  # one for all, so that numbers read together belong together
        self._boot = Gauge("morphstream_boot_seconds", "Seconds of each step of the last boot.", ["step"], registry=own)
        self._frames = Counter("morphstream_frames_total", "Frames that were swapped.", registry=own)
        self._faces = Counter("morphstream_faces_total", "Faces that were swapped.", registry=own)
        self._hits = Counter("morphstream_cache_hits_total", "Boots that found their store good.", registry=own)
        self._misses = Counter("morphstream_cache_misses_total", "Boots that had to fill their store.", registry=own)
        self._fallbacks = Counter("morphstream_fallbacks_total", "Uses of the second best.", ["reason"], registry=own)
        ready = Gauge("morphstream_ready", "1 while the engines are open and warm, else 0.", registry=own)
        ready.set_function(lambda: self.unready is None)
        self._seconds = Histogram(
            "morphstream_frame_seconds", "Seconds of a swap.", ["stream"], buckets=BUCKETS, registry=own
        )
        self._streams = {_NO_STREAM: self._seconds.labels(_NO_STREAM)}
        self._read_streams: Callable[[], Sequence[StreamStats]] = tuple

    def record_boot(self, report: BootReport) -> None:
        """Record a boot and count its fallbacks; steps of one name add up, and those of an earlier boot are removed.

        Raises:
            ValueError: The report, such as one out of a file, has what is no text or no seconds; nothing was recorded.
        """
        texts = (*(step.name for step in report.steps), *report.fallbacks)
        odd: list[object] = [text for text in texts if not isinstance(text, str)]
        odd += [step.seconds for step in report.steps if not _is_time(step.seconds)]
        if odd:
            raise ValueError(f"boot report: expected names, and seconds of 0 or more, seen {odd[0]!r}")
        with self._lock:
            self._boot.clear()
            for step in report.steps:
                self._boot.labels(_bounded(step.name, self._boot)).inc(step.seconds)
            (self._hits if report.was_good else self._misses).inc()
        for reason in report.fallbacks:
            self.count_fallback(reason)

    def set_boot_step(self, name: str, seconds: float) -> None:
        """Set how long a step took that came after the boot, such as ``open``."""
        with self._lock:
            self._boot.labels(_bounded(name, self._boot)).set(seconds)

    def watch(self, read_streams: Callable[[], Sequence[StreamStats]]) -> None:
        """Append what streams have done to `text`, such as `SwapWorker.stats`, which is called each time."""
        self._read_streams = read_streams

    def count_frame(self, seconds: float, faces: int, stream: str = _NO_STREAM) -> None:
        """Count a frame that was swapped, the seconds that it took, the faces in it, and its stream, if it has a name.

        Raises:
            ValueError: A number is below 0, or none.
        """
        if not (_is_time(seconds) and faces >= 0):
            raise ValueError(f"expected seconds and faces of 0 or more, seen {seconds} and {faces}")
        with self._lock:
            self._of_stream(stream).observe(seconds)
            self._frames.inc()
            self._faces.inc(faces)

    def _of_stream(self, name: str) -> Histogram:
        """Return a stream's own seconds, or those of all other streams where there are too many."""
        if name not in self._streams and len(self._streams) >= MOST_VALUES - 1:
            name = OTHER
        if name not in self._streams:
            self._streams[name] = self._seconds.labels(_line(name))
        return self._streams[name]

    def count_fallback(self, reason: str) -> None:
        """Count that the second best was used, for a reason of a few words that anyone may read: ``rtx portable``."""
        with self._lock:
            self._fallbacks.labels(_bounded(_line(reason), self._fallbacks)).inc()

    def set_ready(self) -> None:
        """Set that the engines are open and warm."""
        self.unready = None

    def set_unready(self, reason: str) -> None:
        """Set that they aren't any more, or not yet, and why."""
        self.unready = _line(reason) or "not ready"

    def text(self) -> str:
        """Return every number in Prometheus' text format."""
        with self._lock:
            own = _UNNAMED.sub("", generate_latest(self._own).decode())
        own += generate_latest(_registry_of_streams(self._read_streams())).decode()
        gpus = generate_latest(_registry_of(self._read_gpus())).decode()  # a driver may take its time: without the lock
        return _CREATED.sub("", own) + gpus + generate_latest(self._worker).decode()


def _registry_of(gpus: Sequence[Gpu]) -> CollectorRegistry:
    """Return what GPUs report as metrics; without GPUs there are none."""
    registry = CollectorRegistry()
    for name, text, values in (
        ("memory_bytes", "Memory of a GPU.", [gpu.memory_bytes for gpu in gpus]),
        ("memory_used_bytes", "Memory of a GPU that programs have.", [gpu.used_bytes for gpu in gpus]),
        ("busy_ratio", "Part of the last second in which a GPU calculated.", [gpu.busy for gpu in gpus]),
    ):
        if gpus:
            gauge = Gauge(f"morphstream_gpu_{name}", text, ["gpu", "name"], registry=registry)
        for gpu, value in zip(gpus, values, strict=True):
            if value is not None:
                gauge.labels(gpu.index, gpu.name).set(value)
    return registry


def _registry_of_streams(streams: Sequence[StreamStats]) -> CollectorRegistry:
    """Return what streams have done as metrics; without streams there are none."""
    registry = CollectorRegistry()
    if not streams:
        return registry
    label = ["stream"]
    dropped = Counter("morphstream_stream_dropped", "Frames that made room for newer ones.", label, registry=registry)
    waiting = Gauge("morphstream_stream_waiting", "Frames that wait for an engine.", label, registry=registry)
    fps = Gauge("morphstream_stream_fps", "Frames a second, of late.", label, registry=registry)
    what = "Seconds from a frame's arrival until it is ready, of late."
    latency = Gauge("morphstream_stream_latency_seconds", what, ["stream", "quantile"], registry=registry)
    what = "Mean seconds of a frame in engines and in the host's own work, of late."
    parts = Gauge("morphstream_stream_part_seconds", what, ["stream", "part"], registry=registry)
    for stream in streams[:MOST_VALUES]:
        name = _line(stream.name)
        dropped.labels(name).inc(stream.dropped)
        waiting.labels(name).set(stream.waiting)
        fps.labels(name).set(stream.fps)
        for quantile, seconds in (("0.5", stream.p50_s), ("0.95", stream.p95_s), ("0.99", stream.p99_s)):
            latency.labels(name, quantile).set(seconds)
        for part, seconds in (("engines", stream.inference_s), ("host", stream.host_s)):
            parts.labels(name, part).set(seconds)
    return registry


def _bounded(value: str, metric: Gauge | Counter) -> str:
    """Return a label's value, or `OTHER` where a metric has too many others."""
    used = {other for family in metric.collect() for sample in family.samples for other in sample.labels.values()}
    return value if value in used or len(used) < MOST_VALUES - 1 else OTHER


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 <= seconds < math.inf


def _line(text: str) -> str:
    return " ".join(text.split())[:_MOST_LETTERS]
