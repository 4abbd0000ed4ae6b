"""Open what a user names as a live input: a camera, a file, an address."""

from fractions import Fraction

from morphstream.media.live.input import LiveInput


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
    raise NotImplementedError(text, size_wh, Fraction(fps or 0), loop)
