"""Swapped frames as a track of WebRTC."""

import asyncio
import time
from contextlib import suppress
from fractions import Fraction

import cv2
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from av.video.frame import PictureType

from morphstream.frame import Frame

REPEAT_S = 1.0  # without a new frame: a receiver may hold each frame back until the next one comes
_CLOCK = 90_000  # of video in RTP


def picture_of(frame: Frame) -> VideoFrame:
    """Return a frame as encoders take it."""
    if frame.shape[0] % 2 or frame.shape[1] % 2:
        return VideoFrame.from_ndarray(frame, format="bgr24").reformat(format="yuv420p")
    # there and back it is exact, and a third of the price; FFmpeg's darkens by a level each time
    planes = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420), np.uint8)
    return VideoFrame.from_ndarray(planes, format="yuv420p")


def frame_of(picture: VideoFrame) -> Frame:
    """Return a picture of a decoder as a frame of its own."""
    if picture.format.name != "yuv420p" or picture.width % 2 or picture.height % 2:
        return np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
    return np.asarray(cv2.cvtColor(picture.to_ndarray(), cv2.COLOR_YUV2BGR_I420), np.uint8)


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
