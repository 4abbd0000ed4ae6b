"""Measure a worker of live streams beside the video way, on frames that are in memory.

Promised: at least 0.95 of the frames a second of `SwapPipeline.stream`, where frames wait; where they come faster than
they are swapped, none is older than two swaps when it is ready (95 in 100, as other programs run here, too); while a
stream switches to a model of the store, or to one that a slow source gives, the longest gap between frames is at most
two intervals longer than before; three streams get the same number of frames, within 10 %; idle, it costs nothing.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bench.clips import clip
from morphstream.boot.boot import boot
from morphstream.boot.service import ModelDownloadService
from morphstream.face.track import DEFAULT_TRACKING
from morphstream.face.types import Identity
from morphstream.frame import Frame
from morphstream.pipeline import SwapPipeline
from morphstream.source.folder import FolderSource
from morphstream.worker.stream import SwapStream
from morphstream.worker.worker import SwapWorker

BUILD = Path(__file__).resolve().parents[1] / "build"
LEAST_RATE, MOST_SWAPS, MOST_INTERVALS, FAIR = 0.95, 2.0, 2.0, 0.1
INSTALLED, FETCHED = "hyperswap_1a_256", "hyperswap_1b_256"
CHUNK, PAUSE_S, FAST_FPS = 100_000, 0.05, 300
Frames = Sequence[tuple[Frame, Fraction]]


def main() -> int:
    """Print the figures; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_worker", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, metavar="N", help="(%(default)s)")
    parser.add_argument("--fps", type=float, default=10, help="of the source while models are switched (%(default)s)")
    options = parser.parse_args()
    frames = [(frame.value, frame.time) for frame in clip("mixed", (640, 480), 100).frames()]
    with tempfile.TemporaryDirectory() as name:
        boot(name, source=BUILD, target="cpu", groups=["core", "masks", "inswapper_128_fp16", INSTALLED])
        with SwapPipeline(name) as swap, ModelDownloadService(name, SlowSource(BUILD)) as downloads:
            somebody = swap.identify(frames[0][0])
            results = {
                "rate": has_rate(swap, frames, somebody, options.rounds),
                "age": is_new(swap, frames, somebody),
                "fairness": is_fair(swap, frames, somebody),
                "idle": is_idle(swap, somebody),
                "switch": switches(swap, downloads, frames, somebody, options.fps),
            }
    failed = [what for what, holds in results.items() if not holds]
    print(f"not as promised: {', '.join(failed)}" if failed else "all as promised")
    return int(bool(failed))


class SlowSource(FolderSource):
    """A folder whose engines come at 2 MB a second."""

    def open(self, path: str) -> BinaryIO:
        """Open a file that is slow to read."""
        file = super().open(path)
        read = file.read

        def slow_read(size: int = -1, /) -> bytes:
            time.sleep(PAUSE_S)
            return read(min(size, CHUNK) if size >= 0 else size)

        file.read = slow_read  # type: ignore[method-assign]
        return file


def has_rate(swap: SwapPipeline, frames: Frames, somebody: Identity, rounds: int) -> bool:
    """Compare how many frames a second a worker and the video way swap, in turns."""
    took: dict[str, list[tuple[float, float]]] = {"video": [], "worker": []}
    with SwapWorker(swap, most_streams=1) as worker:
        for number in range(2 * rounds + 2):
            way = "worker" if number % 2 else "video"
            start, spent = time.perf_counter(), time.process_time()
            if way == "video":
                count = sum(1 for _ in swap.stream(frames, somebody))
            else:
                with worker.open("a", somebody, tracking=DEFAULT_TRACKING, late="wait", queue_size=2) as stream:
                    feed(stream, frames)
                    count = sum(1 for _ in stream)
            if number > 1 and count == len(frames):
                took[way].append((time.perf_counter() - start, time.process_time() - spent))
    (video, video_cpu), (ours, ours_cpu) = (np.min(took[way], axis=0) for way in ("video", "worker"))
    figures = f"{video / ours:.3f} of the video way, whose processor time is {video_cpu / ours_cpu:.3f} of its"
    print(f"worker: {len(frames) / ours:.1f} frames a second, {figures}")
    return bool(video / ours >= LEAST_RATE)


def feed(stream: SwapStream, frames: Frames, interval_s: float = 0.0) -> threading.Thread:
    """Push frames in a thread, each at its interval and with that time, or as they are; then end the stream."""

    def push() -> None:
        start = time.monotonic()
        for index, (frame, at) in enumerate(frames):
            time.sleep(max(0.0, start + index * interval_s - time.monotonic()))
            stream.push(frame, time.monotonic() - start if interval_s else at)
        stream.end()

    thread = threading.Thread(target=push)
    thread.start()
    return thread


def is_new(swap: SwapPipeline, frames: Frames, somebody: Identity) -> bool:
    """Measure how old frames are when they are ready, from a source that is much faster than the swapper."""
    with SwapWorker(swap, most_streams=1) as worker:
        stream = worker.open("a", somebody)
        feed(stream, [*frames] * 10, 1 / FAST_FPS)
        swapped = list(stream)
    ages = [one.latency_s / (one.found_s + one.drawn_s) for one in swapped]
    p50, p95, most = np.quantile(ages, [0.5, 0.95, 1])
    count = f"{len(ages)} of {10 * len(frames)} frames at {FAST_FPS} a second"
    print(f"age when ready, in own swaps: median {p50:.2f}, 95 % {p95:.2f}, most {most:.2f} ({count})")
    return bool(p95 <= MOST_SWAPS)


def is_fair(swap: SwapPipeline, frames: Frames, somebody: Identity) -> bool:
    """Count the frames of three streams that all have more than can be swapped."""
    counts = dict.fromkeys("abc", 0)
    with SwapWorker(swap) as worker:
        streams = {name: worker.open(name, somebody) for name in counts}
        for stream in streams.values():
            feed(stream, [*frames] * 3, 0.02)
        for name, stream in streams.items():
            list(stream)
            counts[name] = stream.stats.swapped
    print(f"three streams: {counts} frames")
    return max(counts.values()) - min(counts.values()) <= FAIR * max(counts.values())


def is_idle(swap: SwapPipeline, somebody: Identity) -> bool:
    """Measure what a worker costs whose streams get no frame."""
    with SwapWorker(swap) as worker:
        worker.open("a", somebody)
        spent = time.process_time()
        time.sleep(2)
        share = (time.process_time() - spent) / 2
    print(f"idle: {100 * share:.2f} % of a core")
    return share < 0.03


def switches(
    swap: SwapPipeline, downloads: ModelDownloadService, frames: Frames, somebody: Identity, fps: float
) -> bool:
    """Measure the longest gap between frames, before a switch and from it until the new model draws."""
    holds = True
    with SwapWorker(swap, downloads=downloads) as worker, worker.open("a", somebody) as stream:
        feed(stream, [*frames] * 4, 1 / fps)
        ready = [time.monotonic() for _, _ in zip(range(int(3 * fps)), stream, strict=False)]
        usual = longest(ready)
        for model in (INSTALLED, FETCHED):
            switch, gap, states = stream.switch(model), *gap_during(stream, model)
            holds &= switch.state == "done" and gap <= usual + MOST_INTERVALS / fps
            print(f"switch to {model}: {states} frames, longest gap {1000 * gap:.0f} ms, usual {1000 * usual:.0f} ms")
            print(f"  {switch.state} {switch.error} {switch.done_bytes} of {switch.total_bytes} bytes, at {fps:g} fps")
    return holds


def gap_during(stream: SwapStream, model: str) -> tuple[float, int]:
    """Return the longest gap until ten frames were drawn by a model, and how many frames that took."""
    ready, drawn = [time.monotonic()], 0
    while drawn < 10 and stream.pull():
        ready.append(time.monotonic())
        drawn += stream.stats.swap_model == model
    return longest(ready[1:]), len(ready)


def longest(ready: Sequence[float]) -> float:
    """Return the longest gap between frames, seconds."""
    return max(after - before for before, after in pairwise(ready))


if __name__ == "__main__":
    sys.exit(main())
