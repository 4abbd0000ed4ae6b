"""Geometry of a face crop: fit a template, cut the crop, paste it back."""

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np

from morphstream.face.types import Affine, Crop, Layer, Mask, Points
from morphstream.frame import Frame

T = TypeVar("T")


class Each(Protocol):
    """Applies a function to each index: ``map``, or one that shares the work among threads."""

    def __call__(self, work: Callable[[int], T], indices: Iterable[int], /) -> Iterable[T]:
        """Return the results in the order of the indices."""
        ...


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
        points5: ``(5, 2)``, pixels of the frame.
        template: ``(5, 2)``, fractions of the crop's side.
        side: Side of the crop, pixels.

    Returns:
        ``(2, 3)``, frame to crop.

    Raises:
        ValueError: The points are all one point.

    Source: Umeyama 1991; in two dimensions a turn and a scale are one complex factor.
    """
    source, target = _complex(points5), _complex(template * side)
    source_mean, target_mean = sum(source) / len(source), sum(target) / len(target)
    centred = [point - source_mean for point in source]
    if not max(map(abs, centred)) > _LEAST_SPREAD:
        raise ValueError("expected five points that differ, seen one point five times")
    pairs = zip(centred, target, strict=True)
    turn = sum(point.conjugate() * (goal - target_mean) for point, goal in pairs) / sum(abs(p) ** 2 for p in centred)
    shift = target_mean - turn * source_mean
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _complex(points: Points) -> list[complex]:
    return [complex(x, y) for x, y in points.tolist()]


def transform(points: Points, affine: Affine) -> Points:
    """Map points ``(..., 2)`` by an affine; `cv2.invertAffineTransform` returns the inverse."""
    return points @ affine[:, :2].T + affine[:, 2]


def cut_crop(frame: Frame, affine: Affine, side: int, *, into: Crop | None = None) -> Crop:
    """Warp a square crop out of a frame; outside the frame its edge is repeated, as black padding would show.

    Args:
        frame: ``(H, W, 3)`` uint8.
        affine: Frame to crop.
        side: Side of the crop, pixels.
        into: ``(side, side, 3)`` uint8, contiguous, to write it to, such as a row of a batch; None for a new array.

    Returns:
        ``(side, side, 3)`` uint8.

    Raises:
        ValueError: The affine has no inverse.
    """
    crop = np.empty((side, side, 3), np.uint8) if into is None else into
    left, top, right, bottom = rectangle_of(frame, affine, side)
    if (
        0 < (right - left) * (bottom - top) <= _CONVERTED * side * side
    ):  # four channels are warped twice as fast as three
        part = np.asarray(cv2.cvtColor(frame[top:bottom, left:right], cv2.COLOR_BGR2BGRA), np.uint8)
        cv2.cvtColor(_warp_out(part, _moved(affine, left, top), side), cv2.COLOR_BGRA2BGR, dst=crop)
    else:
        crop[:] = _warp_out(frame, affine, side)
    return crop


def cut_crops(
    frame: Frame, points5: Sequence[Points], template: Points, side: int, *, each: Each = map
) -> tuple[Crop, list[Affine]]:
    """Cut the crops of several faces.

    Args:
        frame: ``(H, W, 3)`` uint8.
        points5: ``(5, 2)`` of each face, pixels of the frame.
        template: As in `align`.
        side: Side of the crops, pixels.
        each: Applies a function to each index.

    Returns:
        ``(N, side, side, 3)`` uint8, and frame to crop for each.

    Raises:
        ValueError: The points of a face are all one point, or no numbers.
    """
    crops = np.empty((len(points5), side, side, 3), np.uint8)
    affines = [align(points, template, side) for points in points5]
    list(each(lambda place: cut_crop(frame, affines[place], side, into=crops[place]), range(len(crops))))
    return crops, affines


def paste_back(frame: Frame, crop: Crop, mask: Mask, affine: Affine) -> None:
    """Blend a crop into a frame, in place and inside the crop's own rectangle only.

    Where the mask is 0, and outside the rectangle, the frame keeps its bits.

    Args:
        frame: ``(H, W, 3)`` uint8, modified.
        crop: ``(side, side, 3)`` uint8; a fourth channel is not read.
        mask: ``(side, side)`` float32, 0..1.
        affine: Frame to crop, as for `cut_crop`.

    Raises:
        ValueError: The affine has no inverse.
    """
    put(frame, warp_in(frame, layer_of(crop, mask), affine))


def layer_of(crop: Crop, mask: Mask) -> Layer:
    """Return colour times alpha, and alpha, ``(side, side, 4)`` uint8; arguments as in `paste_back`."""
    layer = cv2.cvtColor(crop, cv2.COLOR_BGR2BGRA) if crop.shape[2] == 3 else crop.copy()
    cv2.insertChannel(cv2.convertScaleAbs(mask, alpha=255), layer, 3)
    return cv2.cvtColor(layer, cv2.COLOR_RGBA2mRGBA)  # type: ignore[return-value]


class Warped(NamedTuple):
    """A layer warped to its position in a frame: ``(h, w, 4)`` uint8, and its top left pixel there, ``(left, top)``."""

    layer: Layer
    corner: tuple[int, int]


def warp_in(frame: Frame, layer: Layer, affine: Affine) -> Warped:
    """Warp a layer to its position in a frame, colour and alpha together, cut off at the frame's edge.

    Args:
        frame: ``(H, W, 3)``; its size counts, nothing else.
        layer: As `layer_of` returns.
        affine: Frame to crop.

    Raises:
        ValueError: The affine has no inverse.
    """
    left, top, right, bottom = rectangle_of(frame, affine, layer.shape[0])
    if left >= right or top >= bottom:
        return Warped(np.empty((0, 0, 4), np.uint8), (left, top))
    size, how = (right - left, bottom - top), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return Warped(cv2.warpAffine(layer, _moved(affine, left, top), size, flags=how), (left, top))  # type: ignore[arg-type]


def put(frame: Frame, warped: Warped) -> None:
    """Blend a warped layer over a frame, in place: the layer plus the frame times one minus alpha.

    Source: Porter and Duff, "Compositing Digital Images", over with premultiplied alpha.
    """
    if not warped.layer.size:
        return
    (left, top), (height, width) = warped.corner, warped.layer.shape[:2]
    region = frame[top : top + height, left : left + width]
    under = cv2.cvtColor(region, cv2.COLOR_BGR2BGRA)
    cv2.insertChannel(cv2.bitwise_not(cv2.extractChannel(warped.layer, 3)), under, 3)
    under = cv2.cvtColor(under, cv2.COLOR_RGBA2mRGBA)
    region[:] = cv2.cvtColor(
        cv2.add(under, warped.layer), cv2.COLOR_BGRA2BGR
    )  # not by dst, as a mirrored frame has negative strides


def _warp_out(pixels: Frame, affine: Affine, side: int) -> Frame:
    return cv2.warpAffine(pixels, affine, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _moved(affine: Affine, left: int, top: int) -> Affine:
    """Return an affine for a part of the frame that begins at a pixel."""
    return np.column_stack([affine[:, :2], affine[:, 2] + affine[:, :2] @ (left, top)])


def rectangle_of(frame: Frame, affine: Affine, side: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the frame's pixels that a crop touches; empty if it is outside.

    Args:
        frame: ``(H, W, 3)``; its size counts, nothing else.
        affine: Frame to crop.
        side: Of the crop, pixels.

    Raises:
        ValueError: The affine has no inverse.
    """
    (a, b, x), (c, d, y) = affine.tolist()
    determinant = a * d - b * c
    if not math.isfinite(sum((a, b, c, d, x, y))) or abs(determinant) < sys.float_info.min:
        raise ValueError(f"expected an affine that has an inverse, seen {affine.tolist()}")
    ends = (-0.5, side - 0.5)
    xs = [(d * (u - x) - b * (v - y)) / determinant for u in ends for v in ends]
    ys = [(a * (v - y) - c * (u - x)) / determinant for u in ends for v in ends]
    height, width = frame.shape[:2]
    return (
        min(max(math.floor(min(xs)), 0), width),
        min(max(math.floor(min(ys)), 0), height),
        min(max(math.ceil(max(xs)) + 1, 0), width),
        min(max(math.ceil(max(ys)) + 1, 0), height),
    )
