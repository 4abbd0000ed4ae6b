"""A browser with a camera that plays a generated clip, and a probe in its page that measures what is shown.

Conventions: each frame of the clip has its number in its upper left corner, as bars, by which the probe knows it in the
camera's picture and in the swapped one; times are in milliseconds.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import av
import cv2
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from bench.clips import PEOPLE, Clip, clip
from morphstream.frame import Frame
from stages.photos import solvay
from stages.workspace import Workspace

CHROMIUM = Path("/usr/bin/chromium")
SIZE, RATE = (640, 480), 30
_BITS, _SIDE = 10, 24  # of a number, and of a bit in pixels; the last one makes their sum even
_PROBE = (Path(__file__).with_suffix(".js")).read_text("utf-8")


class Shown(NamedTuple):
    """What a page has shown since it was last asked.

    Attributes:
        latencies: From a frame in the camera's picture to the same one in the swapped picture.
        ages: Of what the swapped picture shows, at each frame of the camera's.
        gaps: Between two new frames of the swapped picture.
        psnr: Of the clip's face in the swapped picture against the camera's, in dB of the luma.
        kept: The newest frames of the swapped picture, ``(H, W, 3)`` uint8 BGR, with their numbers.
    """

    latencies: Sequence[float]
    ages: Sequence[float]
    gaps: Sequence[float]
    psnr: Sequence[float]
    kept: Sequence[tuple[int, Frame]]


def numbered(frame: Frame, number: int) -> Frame:
    """Return a frame with a number in its upper left corner."""
    bits = [number >> place & 1 for place in range(_BITS - 1)]
    drawn = frame.copy()
    for place, bit in enumerate([*bits, sum(bits) % 2]):
        drawn[:_SIDE, place * _SIDE : (place + 1) * _SIDE] = 255 * bit
    return drawn


def write_camera(path: Path, made: Clip, count: int, rate: int = RATE) -> None:
    """Write a clip as a camera of Chromium's plays it, again and again; one that is shorter than `count` repeats."""
    frames = [made.frame(index) for index in range(min(made.count, count))]
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420jpeg\n" % (*made.size_wh, rate))
        for index in range(count):
            picture = av.VideoFrame.from_ndarray(numbered(frames[index % len(frames)], index), format="bgr24")
            file.write(b"FRAME\n" + picture.to_ndarray(format="yuv420p").tobytes())


def source_picture() -> bytes:
    """Return a picture of somebody who isn't in the clips, as a PNG."""
    left, top = (PEOPLE[1][2] - 120).astype(int)
    photo = solvay(Workspace(Path(__file__).parents[1]).downloads)[top : top + 240, left : left + 240]
    return bytes(cv2.imencode(".png", cv2.resize(photo, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))[1])


@contextmanager
def open_browser(camera: Path) -> Iterator[Browser]:
    """Open a headless Chromium with that camera."""
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    args = ["--no-sandbox", *fake, f"--use-file-for-fake-video-capture={camera}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, link: str) -> Page:
    """Open a live page, in a context of its own."""
    page = browser.new_context(permissions=["camera"]).new_page()
    page.goto(link)
    page.locator("#start:enabled").wait_for()
    return page


def start(page: Page, count: int) -> None:
    """Start the stream, and to measure it once it is shown.

    Args:
        page: A live page.
        count: Frames of the camera's clip.
    """
    page.click("#start")
    page.wait_for_function("() => document.querySelector('#output').videoWidth > 0")
    face = clip("pan", SIZE).truth(0)[0].points5  # that clip's, which moves sideways; of others whatever is there
    left, top = (face.mean(0) - 60).astype(int).tolist()
    page.evaluate(_PROBE, {"count": count, "bits": _BITS, "side": _SIDE, "face": [left, top, 120, 120], "rate": RATE})


def choose(page: Page, picture: bytes, name: str = "alice") -> None:
    """Agree, and choose a source picture."""
    page.check("#agreed")
    page.fill("#name", name)
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": picture})
    page.locator("#people .person", has_text=name).wait_for()


def shown(page: Page, seconds: float, kept: int = 0) -> Shown:
    """Return what a page shows in so many seconds, and its last frames.

    Args:
        page: A page that was started.
        seconds: How long it is watched.
        kept: Frames of the swapped picture that are returned, too.
    """
    page.evaluate("() => probe.take(0)")
    page.wait_for_timeout(1000 * seconds)
    seen = cast("dict[str, Any]", page.evaluate("kept => probe.take(kept)", kept))
    frames = [(number, _frame_of(text)) for number, text in seen.pop("kept")]
    return Shown(**seen, kept=frames)


def _frame_of(url: str) -> Frame:
    """Return the frame of a ``data:`` URL with a PNG."""
    return np.asarray(cv2.imdecode(np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8), 1), np.uint8)
