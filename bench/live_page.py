"""Swap the camera of a headless browser through a live page, and measure what the page shows.

Promised, with the kit, one face at 640x480 and 2 cores: a frame is shown at most twice the time of detect-and-swap and
2 frame intervals after the camera showed it (median); the face comes back with 37 dB; its identity is the source's, as
of a swap without a browser; while the model is switched no frame older than 500 ms is shown, and no gap is longer than
2 frame intervals more than usual; two pages are served alike; and nothing grows with `--minutes`, even with more faces
than can be swapped, as of `--clip cross`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from playwright.sync_api import Browser, Page

from bench.clips import clip
from bench.live_camera import (
    RATE,
    SIZE,
    Shown,
    choose,
    open_browser,
    open_page,
    shown,
    source_picture,
    start,
    write_camera,
)
from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.face.types import Identity
from morphstream.frame import Frame
from morphstream.live.options import PageOptions
from morphstream.live.server import PageServer
from morphstream.pipeline import SwapPipeline
from morphstream.worker.worker import SwapWorker

STORE = Path(__file__).resolve().parents[1] / "build/demo/store"
COUNT, INTERVAL = 270, 1000 / RATE  # frames of the camera's clip, three times round; ms
OTHER_MODEL = "hyperswap_1a_256"
LEAST_DB, MOST_AGE, LONG = 37.0, 500.0, 8.0


def main() -> int:
    """Print the figures; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_page", description=__doc__)
    parser.add_argument("--clip", default="pan", help="of bench.clips, that the camera plays (%(default)s)")
    parser.add_argument("--minutes", type=int, default=0, help="how long to watch it, beside the rest (%(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, SwapPipeline(STORE) as pipeline, SwapWorker(pipeline) as worker:
        camera = Path(folder) / "camera.y4m"
        made = clip(args.clip, SIZE)
        write_camera(camera, made, COUNT)
        alice = pipeline.identify(_decoded(source_picture()))
        swap_ms = swap_time([made.frame(index) for index in range(0, min(made.count, 90), 9)], pipeline, alice)
        with (
            PageServer(worker, PageOptions(port=0), swap_models=models) as server,
            open_browser(camera) as browser,
        ):
            page = open_page(browser, server.link)
            start(page, COUNT)
            kept = is_sharp(page) if args.clip == "pan" else True
            choose(page, source_picture())
            page.locator("#faces button", has_text="alice").first.wait_for()
            held = [kept, is_prompt(page, swap_ms), is_alice(page, pipeline, alice), is_smooth_switch(page)]
            held += [is_flat(page, args.minutes)] if args.minutes else [is_open_twice(browser, page, server.link)]
    print("all as promised" if all(held) else "not as promised")
    return int(not all(held))


def models() -> Mapping[str, bool]:
    """Return the swap models that the page offers, which are installed."""
    return dict.fromkeys((SWAP_MODEL, OTHER_MODEL), True)


def swap_time(frames: Sequence[Frame], pipeline: SwapPipeline, alice: Identity) -> float:
    """Return the median time to find the faces of a frame and to swap them, without a browser beside, in ms."""
    taken = []
    for frame in frames:
        begun = time.perf_counter()
        pipeline(frame, alice)
        taken.append(1000 * (time.perf_counter() - begun))
    return median(taken)


def is_sharp(page: Page) -> bool:
    """Measure the way there and back alone, while nobody is swapped."""
    shown(page, 3)  # browsers begin with less than the network takes
    seen = shown(page, LONG)
    least = float(np.percentile(seen.psnr, 10))
    print(f"nobody swapped: {_figures(seen)}; face {median(seen.psnr):.1f} dB, 10 % below {least:.1f}")
    return median(seen.psnr) >= LEAST_DB


def is_prompt(page: Page, swap_ms: float) -> bool:
    """Measure the latency while the face is swapped."""
    shown(page, 2)
    seen, most = shown(page, 2 * LONG), 2 * swap_ms + 2 * INTERVAL
    print(f"swapped: {_figures(seen)}; at most {most:.0f} ms, as detect-and-swap takes {swap_ms:.0f} ms; {_told(page)}")
    return median(seen.latencies) <= most


def is_alice(page: Page, pipeline: SwapPipeline, alice: Identity) -> bool:
    """Compare the faces of the page with the source and with a swap of the clip's frames without a browser."""
    made, near = clip("pan", SIZE), []
    for number, frame in shown(page, 0.1, kept=4).kept:
        before = made.frame(number % made.count)
        faces = [pipeline.identify(frame), pipeline.identify(pipeline(before, alice)), pipeline.identify(before)]
        near.append([face.similarity(alice) for face in faces])
    own, direct, target = np.mean(near, 0)
    print(f"identity of the source: {own:.3f} on the page, {direct:.3f} without it, {target:.3f} of the face before")
    return bool(own - target >= 0.9 * (direct - target) > 0)


def is_smooth_switch(page: Page) -> bool:
    """Switch the swap model while the stream goes on."""
    usual = shown(page, LONG)
    page.select_option("#model", OTHER_MODEL)
    seen = shown(page, LONG)
    text = page.text_content("#switch-text")
    more = max(seen.gaps) - max(usual.gaps)
    oldest, usually = max(seen.ages), max(usual.ages)
    print(f"switch: oldest frame shown {oldest:.0f} ms, usually {usually:.0f}; longest gap {more:+.0f} ms; {text}")
    return oldest <= MOST_AGE and more <= 2 * INTERVAL and text == f"{OTHER_MODEL} is in use"


def is_open_twice(browser: Browser, page: Page, link: str) -> bool:
    """Watch two pages at once, then the second one alone, and a third after the first was closed."""
    other = open_page(browser, link)
    start(other, COUNT)
    choose(other, source_picture(), "bob")
    both = [shown(each, LONG) for each in (page, other)]
    for number, seen in enumerate(both, 1):
        print(f"two pages, {number}: {_figures(seen)}")
    page.close()
    again = open_page(browser, link)
    start(again, COUNT)
    seen = shown(again, LONG)
    print(f"closed and opened again: {_figures(seen)}")
    fair = sorted(len(seen.gaps) for seen in both)
    return fair[0] > 0.7 * fair[1] and bool(seen.gaps)


def is_flat(page: Page, minutes: int) -> bool:
    """Watch a page for minutes."""
    medians, sizes = [], []
    for minute in range(1, minutes + 1):
        seen = shown(page, 60)
        medians.append(median(seen.latencies))
        sizes.append(_resident_mib())
        print(f"minute {minute}: {_figures(seen)}; {sizes[-1]:.0f} MiB; {_told(page)}", flush=True)
    first, last = (median(part) for part in (medians[: (minutes + 1) // 2], medians[minutes // 2 :]))
    growth = sizes[-1] - sizes[0]
    print(f"flat: latency {first:.0f} ms in the first half, {last:.0f} in the second; {growth:+.0f} MiB")
    return last <= 1.2 * first and growth <= 5 * minutes


def _figures(seen: Shown) -> str:
    latency, late = median(seen.latencies), float(np.percentile(seen.latencies, 95))
    fps = 1000 / float(np.mean(seen.gaps))
    return f"{latency:.0f} ms median, {late:.0f} at 95 %, {fps:.1f} frames/s, longest gap {max(seen.gaps):.0f} ms"


def _told(page: Page) -> str:
    """Return what the page itself says of the stream."""
    return "page: " + ", ".join(page.locator("#numbers div").all_inner_texts()).replace("\n", " ")


def _resident_mib() -> float:
    """Return the memory of this process, which has the server in it."""
    text = Path("/proc/self/status").read_text("utf-8")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def _decoded(png: bytes) -> Frame:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), np.uint8)


if __name__ == "__main__":
    sys.exit(main())
