"""Geometry of a face crop: fit a template, cut the crop, find its rectangle of the frame."""

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import cv2
import numpy as np

from morphstream.face.types import Affine, Crop, Points
from morphstream.frame import Frame

T = TypeVar("T")
Rectangle = tuple[int, int, int, int]  # left, top, right, bottom, pixels


class Each(Protocol):
    """Applies a function to each index: ``map``, or one that shares the work among threads."""

    def __call__(self, work: Callable[[int], T], indices: Iterable[int], /) -> Iterable[T]:
        """Return the results in the order of the indices."""


# Left eye, right eye, nose, left and right mouth corner, in fractions of the crop's side. Source: InsightFace;
# FaceFusion for FFHQ_512.
ARCFACE_112_V2: Points = np.array(
    [
        [0.34191607, 0.46157411],
        [0.65653393, 0.45983393],
        [0.50022500, 0.64050536],
        [0.37097589, 0.82469196],
        [0.63151696, 0.82325089],
    ]
)
ARCFACE_128: Points = np.array(
    [
        [0.36167656, 0.40387734],
        [0.63696719, 0.40235469],
        [0.50019687, 0.56044219],
        [0.38710391, 0.72160547],
        [0.61507734, 0.72034453],
    ]
)
FFHQ_512: Points = np.array(
    [
        [0.37691676, 0.46864664],
        [0.62285697, 0.46912813],
        [0.50123859, 0.61331904],
        [0.39308822, 0.72541100],
        [0.61150205, 0.72490465],
    ]
)
_LEAST_SPREAD = 1e-6  # pixels; more than rounding adds to five equal points
_CONVERTED = 8  # pixels of the frame for one of the crop, at most


def align(points5: Points, template: Points, side: int) -> Affine:
    """Fit the similarity that maps five points onto a template, by least squares.

    Args:
        points5: ``(5, 2)``, of the frame.
        template: ``(5, 2)``, fractions of the crop's side.
        side: Of the crop.

    Source: Umeyama 1991; in two dimensions a turn and a scale are one complex factor.
    """
    source, target = ([complex(x, y) for x, y in points.tolist()] for points in (points5, template * side))
    source_mean, target_mean = sum(source) / len(source), sum(target) / len(target)
    centred = [point - source_mean for point in source]
    if not max(map(abs, centred)) > _LEAST_SPREAD:
        raise ValueError("expected five points that differ, seen one point five times")
    pairs = zip(centred, target, strict=True)
    turn = sum(point.conjugate() * (goal - target_mean) for point, goal in pairs) / sum(abs(p) ** 2 for p in centred)
    shift = target_mean - turn * source_mean
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def tilt_of(points5: Points) -> float:
    """Return how far five points are turned from upright, counter-clockwise as they are seen, -180..180 degrees."""
    (cosine, *_), (sine, *_) = align(points5, ARCFACE_112_V2, 1).tolist()
    return math.degrees(math.atan2(sine, cosine))


def turned(turn: float, scale: float, old: Sequence[float] | Points, new: Sequence[float]) -> Affine:
    """Return the affine that turns, clockwise as seen, and scales around a point, and puts that point at another."""
    factor = scale * complex(math.cos(math.radians(turn)), math.sin(math.radians(turn)))
    shift = complex(*new) - factor * complex(*old)
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def transform(points: Points, affine: Affine) -> Points:
    """Map points ``(..., 2)`` by an affine; `cv2.invertAffineTransform` returns the inverse."""
    return points @ affine[:, :2].T + affine[:, 2]


def cut_crop(frame: Frame, affine: Affine, side: int) -> Crop:
    """Warp a crop out of a frame; outside the frame its edge is repeated, as black padding would show."""
    pixels, (left, top, right, bottom) = frame, rectangle_of(frame, affine, side)
    if is_part := 0 < (right - left) * (bottom - top) <= _CONVERTED * side * side:
        part = cv2.cvtColor(frame[top:bottom, left:right], cv2.COLOR_BGR2BGRA)  # warped twice as fast as three channels
        pixels, affine = np.asarray(part, np.uint8), moved(affine, left, top)
    crop = cv2.warpAffine(pixels, affine, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.cvtColor(crop, cv2.COLOR_BGRA2BGR) if is_part else crop  # type: ignore[return-value]


def cut_crops(
    frame: Frame, points5: Sequence[Points], template: Points, side: int, *, each: Each = map
) -> tuple[Crop, list[Affine]]:
    """Cut the crops of one face or more, aligned to a template; return them and the affine of each."""
    affines = [align(points, template, side) for points in points5]
    crops = each(lambda index: cut_crop(frame, affines[index], side), range(len(affines)))
    return np.stack(list(crops)), affines


def moved(affine: Affine, left: int, top: int) -> Affine:
    """Return an affine for a part of the frame that begins at a pixel."""
    return np.column_stack([affine[:, :2], affine[:, 2] + affine[:, :2] @ (left, top)])


def rectangle_of(frame: Frame, affine: Affine, side: int) -> Rectangle:
    """Return the rectangle of the frame's pixels that a crop touches; empty if it is outside."""
    (a, b, x), (c, d, y) = affine.tolist()
    determinant = a * d - b * c
    if not math.isfinite(sum((a, b, c, d, x, y))) or abs(determinant) < sys.float_info.min:
        raise ValueError(f"expected an affine that has an inverse, seen {affine.tolist()}")
    ends = (-0.5, side - 0.5)
    xs = [(d * (u - x) - b * (v - y)) / determinant for u in ends for v in ends]
    ys = [(a * (v - y) - c * (u - x)) / determinant for u in ends for v in ends]
    height, width = frame.shape[:2]
    left, right = (min(max(x, 0), width) for x in (math.floor(min(xs)), math.ceil(max(xs)) + 1))
    top, bottom = (min(max(y, 0), height) for y in (math.floor(min(ys)), math.ceil(max(ys)) + 1))
    return left, top, right, bottom
