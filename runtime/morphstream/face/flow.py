"""Follow a face from frame to frame by optical flow on a small upright patch of it.

A patch is cut where the face is expected, so that what flow has to find is small, however the face turns or comes
nearer; and always compared with the patch of the frame that the detector looked at last, so that errors don't add up.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.face.geometry import ARCFACE_128, align, moved, rectangle_of, transform
from morphstream.face.types import Affine, Points
from morphstream.frame import Frame

SIDE = 128  # of a patch, pixels
Patch = npt.NDArray[np.uint8]  # (SIDE, SIDE), grey
_TEMPLATE: Points = (ARCFACE_128 - 0.5) * 0.7 + 0.5  # with room for the face to have moved
EYES = float(np.hypot(*(_TEMPLATE[1] - _TEMPLATE[0]))) * SIDE  # pixels of a patch between the eyes of a frontal face
_WINDOW, _LEVELS = (15, 15), 3
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.02)
_RETURNS = 0.7  # pixels of a patch that a point may be off by, there and back
_AGREES = 1.0  # pixels of a patch, from the common motion
_LEAST = 0.2  # of the places that move together; fewer may be by chance
FEW, _ODD = 0.35, 4.0  # of the places; fewer aren't believed that a face is so many pixels from where it is expected


def _grid() -> Points:
    """Return the places of a patch that are followed: in an ellipse around the five points."""
    xs, ys = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9))
    inside = xs**2 + ys**2 <= 1.05
    middle = _TEMPLATE.mean(0) * SIDE
    return np.column_stack([middle[0] + xs[inside] * 0.21 * SIDE, middle[1] + ys[inside] * 0.26 * SIDE])


_GRID = _grid().astype(np.float32)
_MIDDLE = _GRID.mean(0)


@dataclass(frozen=True, slots=True)
class Motion:
    """How a face has moved since its patch was cut.

    Attributes:
        affine: Maps the frame to the patch.
        share: Of the places that are followed those that moved together, 0..1.
    """

    affine: Affine
    share: float


def affine_of(points5: Points) -> Affine:
    """Return the affine that maps a frame to the patch of a face there."""
    return align(points5, _TEMPLATE, SIDE)


def cut_patch(frame: Frame, affine: Affine) -> Patch:
    """Cut a patch out of a frame, its edge repeated; one that is outside is black."""
    left, top, right, bottom = rectangle_of(frame, affine, SIDE)
    if left >= right or top >= bottom:
        return np.zeros((SIDE, SIDE), np.uint8)
    grey = np.asarray(cv2.cvtColor(frame[top:bottom, left:right], cv2.COLOR_BGR2GRAY), np.uint8)
    affine, every = moved(affine, left, top), int(1 / math.hypot(*affine[:, 0]))
    if every > 1:  # averaged, so that no pixel's noise counts
        size = (max(1, grey.shape[1] // every), max(1, grey.shape[0] // every))
        scale = np.array([grey.shape[1] / size[0], grey.shape[0] / size[1]])
        affine = np.column_stack([affine[:, :2] * scale, affine[:, 2] + affine[:, :2] @ ((scale - 1) / 2)])
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    patch = cv2.warpAffine(grey, affine, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(patch, np.uint8)


def follow_patch(patch: Patch, frame: Frame, expected: Affine) -> Motion | None:
    """Return where the face of a patch is in another frame; None where flow doesn't find it.

    Args:
        patch: As cut from an earlier frame.
        frame: ``(H, W, 3)`` uint8 BGR.
        expected: Maps the frame to the patch, about.
    """
    now = cut_patch(frame, expected)
    there, is_there = _flow(patch, now, _GRID, _GRID)
    back, is_back = _flow(now, patch, there, there)
    kept = is_there & is_back & (np.abs(back - _GRID).max(1) < _RETURNS)
    if kept.sum() < _LEAST * len(_GRID):
        return None
    found, inside = cv2.estimateAffinePartial2D(_GRID[kept], there[kept], ransacReprojThreshold=_AGREES)
    if found is None or inside.sum() < _LEAST * len(_GRID):
        return None
    share = float(inside.sum()) / len(_GRID)
    if share < FEW and np.abs(transform(_MIDDLE, np.asarray(found)) - _MIDDLE).max() > _ODD:
        return None
    back_to_patch = np.asarray(cv2.invertAffineTransform(found), np.float64)
    affine = back_to_patch[:, :2] @ expected
    affine[:, 2] += back_to_patch[:, 2]
    return Motion(affine, share)


def _flow(
    old: Patch, new: Patch, places: npt.NDArray[np.float32], about: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return where places of one patch are in another, which is about there, and which of them were found."""
    how = cv2.OPTFLOW_USE_INITIAL_FLOW
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        old, new, places, about.copy(), winSize=_WINDOW, maxLevel=_LEVELS, criteria=_STOP, flags=how
    )
    return np.asarray(there, np.float32), np.asarray(found)[:, 0] == 1
