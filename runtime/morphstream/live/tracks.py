"""Swapped frames as a track of WebRTC."""

import asyncio
import time
from contextlib import suppress
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.codecs import h264, vpx
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from av.video.frame import PictureType

from morphstream.frame import Frame

REPEAT_S = 1.0  # without a new frame: receivers of aiortc's kind hold each frame back until the next one comes
_CLOCK = 90_000  # of video in RTP
_BITRATES = {"MIN_BITRATE": 1_500_000, "DEFAULT_BITRATE": 5_000_000, "MAX_BITRATE": 8_000_000}  # bit/s of a stream


def raise_bitrates() -> None:
    """Have aiortc's encoders begin with a bitrate at which a face is sharp.

    They are constants of its modules, 0.5 Mbit/s and 1.5 at most: a face then comes back with 29 dB.
    """
    for codec in (vpx, h264):
        for name, bitrate in _BITRATES.items():
            setattr(codec, name, bitrate)


def picture_of(frame: Frame) -> VideoFrame:
    """Return a frame as encoders take it."""
    return VideoFrame.from_ndarray(frame, format="bgr24").reformat(format="yuv420p")


def frame_of(picture: VideoFrame) -> Frame:
    """Return a picture of a decoder as a frame of its own."""
    return np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)


class SwappedTrack(MediaStreamTrack):
    """The newest swapped frame, as often as the encoder is ready for one; the last one is repeated."""

    kind = "video"

    def __init__(self) -> None:
        """Begin without a frame."""
        super().__init__()
        self._fresh, self._begin = asyncio.Event(), time.monotonic()
        self._picture: VideoFrame | None = None

    def show(self, picture: VideoFrame) -> None:
        """Send a picture next, in place of one that wasn't sent yet; in the thread of the event loop."""
        self._picture = picture
        self._fresh.set()

    async def recv(self) -> VideoFrame:
        """Return the next picture with its time.

        Raises:
            MediaStreamError: The track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        with suppress(TimeoutError):
            async with asyncio.timeout(None if self._picture is None else REPEAT_S):
                await self._fresh.wait()
        self._fresh.clear()
        if (picture := self._picture) is None:
            raise MediaStreamError
        picture.pts, picture.time_base = round((time.monotonic() - self._begin) * _CLOCK), Fraction(1, _CLOCK)
        picture.pict_type = PictureType.NONE  # a repeated one may have been a key frame
        return picture
