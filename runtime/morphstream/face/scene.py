"""Scenes of a video: where one ends, and how much of a frame is new since it was looked at; pure."""

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.frame import Frame

Glimpse = npt.NDArray[np.uint8]  # (18, 32, 3), a frame in a few pixels
_SIZE = (32, 18)
_EVERY = 8  # pixels of each that a glimpse is made of, at most
_CUT, _OTHER = 0.5, 10.0  # correlation of two glimpses, levels between them on average
_NEW = 16  # levels
_AROUND = np.ones((3, 3), np.uint8)  # pixels of a glimpse that something may move by


def glimpse_of(frame: Frame) -> Glimpse:
    """Return a frame in a few pixels."""
    every = max(1, min(_EVERY, frame.shape[0] // (2 * _SIZE[1]), frame.shape[1] // (2 * _SIZE[0])))
    part = np.ascontiguousarray(frame[every // 2 :: every, every // 2 :: every])
    return np.asarray(cv2.resize(part, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def is_cut(old: Glimpse, new: Glimpse) -> bool:
    """Return whether another scene begins between two frames: they differ, and in more than how bright they are."""
    first, second = (glimpse.astype(np.float64) - glimpse.mean((0, 1)) for glimpse in (old, new))
    if np.abs(first - second).mean() < _OTHER:
        return False
    energy = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) < _CUT * energy


def changed(old: Glimpse, new: Glimpse) -> float:
    """Return the part of a frame that shows what an earlier look had nowhere near, 0..1: what only moved isn't new."""
    above = cv2.subtract(new, np.asarray(cv2.dilate(old, _AROUND), np.uint8))
    below = cv2.subtract(np.asarray(cv2.erode(old, _AROUND), np.uint8), new)
    return float((cv2.max(above, below).max(2) > _NEW).mean())
