"""A decoded picture of a video, and how changed pixels get back into it."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np

from morphstream.frame import Frame
from morphstream.media.video.colour import Plane, bgr_of, full_planes, planes_of
from morphstream.media.video.turn import UPRIGHT, Turn

_MOST_KEPT = 3  # levels of 256: what rounding takes from a colour on its way to BGR; what clipping takes is more


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VideoFrame:
    """A decoded picture, and its pixels as models see them.

    Attributes:
        index: Which of the frames that were read it is, 0 or more.
        time: When it is shown, in seconds: its pts times its time base, exact.
        frame: ``(H, W, 3)`` uint8 BGR, upright.
        picture: As it was decoded; planar, and not turned.
        turn: What makes it upright.
    """

    index: int
    time: Fraction
    frame: Frame
    picture: av.VideoFrame
    turn: Turn = UPRIGHT

    def with_frame(self, frame: Frame) -> av.VideoFrame:
        """Return the decoded picture with the pixels replaced that differ from this one's frame.

        All others stay what was decoded, bit for bit and at any depth. The picture returned is this one's own, with its
        time, tags of colours and side data; what was replaced in it stays so: call this once.

        Args:
            frame: As this one's, changed in places; not modified.

        Raises:
            ValueError: It has another shape.
        """
        if frame.shape != self.frame.shape:
            raise ValueError(f"expected a frame {self.frame.shape}, seen {frame.shape}")
        before, after = self.turn.coded(self.frame), self.turn.coded(frame)
        if frame is not self.frame and (place := _changed_rectangle(before, after)):
            self.picture.make_writable()  # a decoder may still read from it
            _replace(self.picture, place, np.ascontiguousarray(before[place]), np.ascontiguousarray(after[place]))
        return self.picture


def video_frame(picture: av.VideoFrame, *, index: int, time: Fraction, turn: Turn) -> VideoFrame:
    """Return a decoded picture with its pixels, BGR and upright.

    Raises:
        VideoError: Its colours are of a kind that isn't known.
    """
    return VideoFrame(index=index, time=time, frame=turn.upright(bgr_of(picture)), picture=picture, turn=turn)


def _changed_rectangle(before: Frame, after: Frame) -> tuple[slice, slice] | None:
    """Return the rectangle of all pixels that differ, on bounds that chroma has, too; None if there is none."""
    width = before.shape[1] * 3
    word = math.gcd(width, 8)  # bytes that are compared at once
    old, new = (np.ascontiguousarray(frame).reshape(-1, width).view(f"u{word}") for frame in (before, after))
    differs = old != new
    rows, words = differs.any(1).nonzero()[0], differs.any(0).nonzero()[0]
    if not len(rows):
        return None
    ends = (rows[0], rows[-1], words[0] * word // 3, (words[-1] * word + word - 1) // 3)
    top, bottom, left, right = (int(line) // 4 * 4 for line in ends)
    return slice(top, bottom + 4), slice(left, right + 4)


def _replace(picture: av.VideoFrame, place: tuple[slice, slice], before: Frame, after: Frame) -> None:
    """Write what differs of a rectangle into a planar picture."""
    differs = before != after
    changed = np.uint8(255) * (differs[..., 0] | differs[..., 1] | differs[..., 2])
    planes = planes_of(picture)
    height, width = planes[0].shape
    bits = picture.format.components[0].bits
    most = _MOST_KEPT << (bits - 8)
    for own, old, new in zip(planes, full_planes(before, picture), full_planes(after, picture), strict=True):
        down, across = -(-height // own.shape[0]), -(-width // own.shape[1])
        rows = slice(place[0].start // down, place[0].stop // down)
        target = own[rows, place[1].start // across : place[1].stop // across]
        was, becomes = (_sampled(plane, down, across).astype(np.int32) for plane in (old, new))
        value = becomes + np.clip(target - was, -most, most)
        is_changed = _sampled(changed, down, across) > 0  # any pixel of those it stands for
        np.copyto(target, np.clip(value, 0, (1 << bits) - 1), where=is_changed, casting="unsafe")


def _sampled(plane: Plane, down: int, across: int) -> Plane:
    """Return the means of blocks of a plane, whose last row and column stand for what is beyond."""
    if (down, across) == (1, 1):
        return plane
    height, width = plane.shape
    more = (0, -height % down, 0, -width % across)
    whole = cv2.copyMakeBorder(np.ascontiguousarray(plane), *more, cv2.BORDER_REPLICATE)
    size = whole.shape[1] // across, whole.shape[0] // down
    return cast("Plane", cv2.resize(whole, size, interpolation=cv2.INTER_AREA))
