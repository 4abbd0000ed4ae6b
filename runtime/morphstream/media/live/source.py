"""Open what a user names as a live input: a camera, a file, an address."""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

from morphstream.media.live.address import check_address, is_address, shown
from morphstream.media.live.camera import CameraFeed, check_camera
from morphstream.media.live.feeds import open_address, open_file
from morphstream.media.live.input import LiveInput

_CAMERA = re.compile(r"camera(?::([0-9]{1,3}))?")
_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https")


def open_input(
    text: str, *, size_wh: tuple[int, int] | None = None, fps: float | None = None, loop: bool = False
) -> LiveInput:
    """Open a live input, and begin to read it.

    Args:
        text: ``camera``, ``camera:1`` or ``/dev/video0``; a video's file, shown at its own speed; or an address that
            begins with ``rtsp:``, ``rtmp:``, ``http:`` or ``https:``, HLS among them.
        size_wh: What a camera is asked for; other pictures are scaled down to fit in it. None for their own size.
        fps: What a camera is asked for, and most frames a second of others; None for their own.
        loop: Whether a file begins anew at its end.

    Raises:
        VideoError: There is no such camera or file, or it can't be read here. An address that doesn't answer is none:
            `LiveInput.state` says so, and it is tried again.
    """
    return checked_input(text, size_wh=size_wh, fps=fps, loop=loop)()


def checked_input(
    text: str, *, size_wh: tuple[int, int] | None = None, fps: float | None = None, loop: bool = False
) -> Callable[[], LiveInput]:
    """Check a live input, and return what begins to read it; arguments and errors as of `open_input`."""
    rate = Fraction(fps).limit_denominator(1001) if fps else None
    if is_address(text):
        check_address(text, _SCHEMES)
        return partial(LiveInput, shown(text), partial(open_address, text, size_wh=size_wh, fps=rate), loop=loop)
    if (camera := _CAMERA.fullmatch(text)) or text.startswith("/dev/"):
        device = Path(f"/dev/video{camera[1] or 0}" if camera else text)
        check_camera(device)
        return partial(LiveInput, str(device), partial(CameraFeed, device, size_wh=size_wh, fps=rate))
    connect = partial(open_file, Path(text), size_wh=size_wh, fps=rate)
    connect().close()  # what can't be read is refused now
    return partial(LiveInput, text, connect, loop=loop, retries=False)
