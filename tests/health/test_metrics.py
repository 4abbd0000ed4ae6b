"""What happened is what Prometheus reads, whatever it is called and however many threads count it."""

import math
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from morphstream.artifact.target import CacheKey
from morphstream.boot.report import BootReport, BootStep
from morphstream.health.metrics import BUCKETS, MOST_VALUES, OTHER, Metrics
from morphstream.machine.gpus import Gpu
from morphstream.worker.stats import StreamStats
from tests.health import number, read_text
from tests.machine.test_gpus import L4


def report(*steps: tuple[str, float], was_good: bool, fallbacks: tuple[str, ...] = ()) -> BootReport:
    key = CacheKey.parse("sm89/rtx1.7_ort1.31")
    done = tuple(BootStep(name=name, seconds=seconds, reason="so it was") for name, seconds in steps)
    return BootReport(cache_key=key, archive="rtx.tar.zst", was_good=was_good, steps=done, fallbacks=fallbacks)


def stats(name: str, *, dropped: int = 0, waiting: int = 0) -> StreamStats:
    return StreamStats(
        name=name,
        pushed=9,
        swapped=6,
        dropped=dropped,
        waiting=waiting,
        fps=25,
        p50_s=0.1,
        p95_s=0.2,
        p99_s=0.3,
        find_s=0.01,
        draw_s=0.03,
        inference_s=0.03,
        host_s=0.01,
        swap_model="inswapper_128",
        faces=1,
    )


def test_a_new_process_has_done_nothing_and_is_not_ready() -> None:
    families = read_text(Metrics(CollectorRegistry()).text())
    assert {name: family.kind for name, family in families.items()} == {
        "morphstream_boot_seconds": "gauge",
        "morphstream_frames_total": "counter",
        "morphstream_faces_total": "counter",
        "morphstream_frame_seconds": "histogram",
        "morphstream_cache_hits_total": "counter",
        "morphstream_cache_misses_total": "counter",
        "morphstream_fallbacks_total": "counter",
        "morphstream_ready": "gauge",
    }
    assert {number for family in families.values() for number in family.samples.values()} == {0}


def test_the_text_is_what_the_format_says() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.count_frame(0.25, faces=2)
    metrics.count_fallback('a "b" \\ c')
    lines = metrics.text().splitlines()
    assert lines[lines.index("# TYPE morphstream_frames_total counter") :][:2] == [
        "# TYPE morphstream_frames_total counter",
        "morphstream_frames_total 1.0",
    ]
    assert 'morphstream_fallbacks_total{reason="a \\"b\\" \\\\ c"} 1.0' in lines
    assert lines[-5:] == [
        'morphstream_frame_seconds_bucket{le="0.5"} 1.0',
        'morphstream_frame_seconds_bucket{le="1.0"} 1.0',
        'morphstream_frame_seconds_bucket{le="+Inf"} 1.0',
        "morphstream_frame_seconds_count 1.0",
        "morphstream_frame_seconds_sum 0.25",
    ]


def test_a_boot_is_recorded_by_its_steps_and_the_next_replaces_it() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.record_boot(report(("probe", 0.5), ("fetch", 1.0), ("fetch", 2.0), was_good=False))
    metrics.set_boot_step("open", 0.75)
    text = metrics.text()
    steps = {"probe": 0.5, "fetch": 3.0, "open": 0.75}
    assert {step: number(text, "boot_seconds", "step", step) for step in steps} == steps
    assert (number(text, "cache_hits_total"), number(text, "cache_misses_total")) == (0, 1)
    metrics.record_boot(report(("probe", 0.25), was_good=True))
    text = metrics.text()
    assert read_text(text)["morphstream_boot_seconds"].samples == {
        ("morphstream_boot_seconds", "step", "probe"): 0.25,
    }
    assert (number(text, "cache_hits_total"), number(text, "cache_misses_total")) == (1, 1)


def test_each_fallback_of_a_boot_is_counted() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.record_boot(report(was_good=True, fallbacks=("store kept", "source  passed over")))
    metrics.record_boot(report(was_good=False, fallbacks=("store kept",)))
    text = metrics.text()
    reasons = {"store kept": 2, "source passed over": 1}
    assert {reason: number(text, "fallbacks_total", "reason", reason) for reason in reasons} == reasons


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf], ids=["before it began", "no number", "for ever"])
def test_a_boot_that_cannot_be_is_refused_and_not_counted(seconds: float) -> None:
    metrics = Metrics(CollectorRegistry())
    before = metrics.text()
    with pytest.raises(ValueError, match="expected names, and seconds of 0 or more"):
        metrics.record_boot(report(("probe", 1.0), ("fetch", seconds), was_good=True, fallbacks=("store kept",)))
    assert metrics.text() == before


def test_a_frame_falls_into_the_bucket_that_holds_it() -> None:
    metrics = Metrics(CollectorRegistry())
    for seconds in (0.0, 0.001, 0.0011, 0.0334, 1.0, 7.0):
        metrics.count_frame(seconds, faces=1)
    text = metrics.text()
    counts = {le: number(text, "frame_seconds_bucket", "le", le) for le in ("0.001", "0.0015", "0.0334", "1.0", "+Inf")}
    assert counts == {"0.001": 2, "0.0015": 3, "0.0334": 4, "1.0": 5, "+Inf": 6}
    assert len(read_text(text)["morphstream_frame_seconds"].samples) == len(BUCKETS) + 3


@pytest.mark.parametrize(
    ("seconds", "faces"),
    [(-1.0, 1), (math.nan, 1), (math.inf, 1), (0.1, -1)],
    ids=["before it began", "no number", "for ever", "less than no face"],
)
def test_a_frame_that_cannot_be_is_refused_and_not_counted(seconds: float, faces: int) -> None:
    metrics = Metrics(CollectorRegistry())
    before = metrics.text()
    with pytest.raises(ValueError, match="expected seconds and faces of 0 or more"):
        metrics.count_frame(seconds, faces=faces)
    assert metrics.text() == before


@pytest.mark.parametrize("reason", ['"', "\\", "\\n", 'x\\"y', "", "Größe", "{}=,# "])
def test_any_reason_is_read_back(reason: str) -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.count_fallback(reason)
    assert number(metrics.text(), "fallbacks_total", "reason", reason.strip()) == 1


def test_any_step_is_read_back() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.record_boot(report(('a\n"b"\\n', 1.0), was_good=True))
    assert number(metrics.text(), "boot_seconds", "step", 'a\n"b"\\n') == 1


def test_reasons_without_end_take_no_more_room() -> None:
    metrics = Metrics(CollectorRegistry())
    for place in range(10 * MOST_VALUES):
        metrics.count_fallback(f"reason {place} " + "long" * 1000)
    text = metrics.text()
    assert len(read_text(text)["morphstream_fallbacks_total"].samples) == MOST_VALUES
    assert number(text, "fallbacks_total", "reason", OTHER) == 9 * MOST_VALUES + 1
    assert len(text) < 16_000


def test_steps_without_end_take_no_more_room() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.record_boot(report(*((f"step {place}", 1.0) for place in range(10 * MOST_VALUES)), was_good=True))
    text = metrics.text()
    assert len(read_text(text)["morphstream_boot_seconds"].samples) == MOST_VALUES
    assert number(text, "boot_seconds", "step", OTHER) == 9 * MOST_VALUES + 1


def test_frames_of_a_stream_are_counted_under_its_name_and_those_of_too_many_together() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.count_frame(0.25, 1)
    for number_of in range(2 * MOST_VALUES):
        metrics.count_frame(0.5, 1, f"page-{number_of}")
    text = metrics.text()
    assert number(text, "frame_seconds_count") == 1
    assert number(text, "frame_seconds_sum", "stream", "page-3") == 0.5
    assert number(text, "frame_seconds_count", "stream", OTHER) == MOST_VALUES + 2
    assert number(text, "frames_total") == 2 * MOST_VALUES + 1


def test_what_streams_have_done_is_read_each_time() -> None:
    readings = [[stats("a", dropped=3, waiting=1), stats("b")], []]
    metrics = Metrics(CollectorRegistry())
    metrics.watch(lambda: readings.pop(0))
    text = metrics.text()
    assert number(text, "stream_dropped_total", "stream", "a") == 3
    assert number(text, "stream_dropped_total", "stream", "b") == 0
    assert number(text, "stream_waiting", "stream", "a") == 1
    assert number(text, "stream_fps", "stream", "b") == 25
    assert number(text, "stream_latency_seconds", "quantile,stream", "0.95,a") == 0.2
    assert number(text, "stream_part_seconds", "part,stream", "host,a") == 0.01
    assert "morphstream_stream_" not in metrics.text()  # both are closed


def test_the_workers_own_metrics_are_served_too() -> None:
    worker = CollectorRegistry()
    Counter("swaps_refused", "Swaps that somebody refused.", registry=worker).inc(3)
    metrics = Metrics(worker)
    metrics.count_frame(0.25, faces=1)
    families = read_text(metrics.text())
    assert len(families) == 10
    assert families["swaps_refused_total"].samples == {("swaps_refused_total", "", ""): 3}
    assert families["morphstream_frames_total"].samples == {("morphstream_frames_total", "", ""): 1}
    assert "swaps_refused_created" in families  # of the worker's metrics nothing is left out


def test_gpus_are_read_anew_each_time_and_what_is_unknown_is_left_out() -> None:
    readings = [[L4], [replace(L4, used_bytes=None, busy=0.0)]]
    metrics = Metrics(CollectorRegistry(), lambda: readings.pop(0))
    text = metrics.text()
    assert read_text(text)["morphstream_gpu_memory_bytes"].kind == "gauge"
    for name, value in (("gpu_memory_bytes", 24 << 30), ("gpu_memory_used_bytes", 3 << 29), ("gpu_busy_ratio", 0.37)):
        (line,) = [line for line in text.splitlines() if line.startswith(f"morphstream_{name}{{")]
        labels, _, seen = line.rpartition(" ")
        assert (labels, float(seen)) == (f'morphstream_{name}{{gpu="0",name="NVIDIA L4"}}', value)
    text = metrics.text()
    assert "morphstream_gpu_memory_used_bytes{" not in text
    assert 'morphstream_gpu_busy_ratio{gpu="0",name="NVIDIA L4"} 0.0' in text.splitlines()


def test_a_driver_that_takes_its_time_keeps_no_frame_waiting() -> None:
    def count_meanwhile() -> list[Gpu]:
        counting = threading.Thread(target=metrics.count_frame, args=(0.1, 1))
        counting.start()
        counting.join(5)
        assert not counting.is_alive()
        return []

    metrics = Metrics(CollectorRegistry(), count_meanwhile)
    metrics.text()
    assert number(metrics.text(), "frames_total") == 1  # as the second is counted while the GPUs are asked again


def test_by_default_they_are_those_of_prometheus_client() -> None:
    ours = Gauge("morphstream_tests_gauge", "A number of these tests.")
    try:
        ours.set(7)
        assert number(Metrics().text(), "tests_gauge") == 7
    finally:
        REGISTRY.unregister(ours)


def test_without_the_package_only_the_metrics_are_refused_in_one_line() -> None:
    code = """
import sys
sys.modules["prometheus_client"] = None
import morphstream, morphstream.health.metered, morphstream.health.probe
from morphstream.cli.main import main
sys.exit(main(["serve-health"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("morphstream serve-health: metrics: expected prometheus_client, seen none (")
    assert line.endswith("); run: pip install 'morphstream[health]'")


def test_a_reason_is_one_line() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.set_unready("  no\n good ")
    assert metrics.unready == "no good"
    metrics.set_unready(" ")
    assert metrics.unready
    metrics.set_ready()
    assert metrics.unready is None
    assert number(metrics.text(), "ready") == 1


def test_threads_lose_no_frame_and_a_text_never_contradicts_itself() -> None:
    metrics = Metrics(CollectorRegistry())

    def count(_: int) -> None:
        for _ in range(500):
            metrics.count_frame(0.01, faces=3)
            metrics.count_fallback("slow")

    with ThreadPoolExecutor(4) as pool:
        counting = pool.map(count, range(4))
        for _ in range(20):
            text = metrics.text()
            frames = number(text, "frames_total")
            assert number(text, "faces_total") == 3 * frames == 3 * number(text, "frame_seconds_count")
        list(counting)
    text = metrics.text()
    assert number(text, "frames_total") == number(text, "fallbacks_total", "reason", "slow") == 2000
