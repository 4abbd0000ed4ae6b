"""Paste new crops into a frame through their masks."""

from collections.abc import Callable, Sequence
from itertools import combinations

import cv2
import numpy as np

from morphstream.face.geometry import Each, Rectangle, moved, rectangle_of
from morphstream.face.types import Affine, Crop, Layer, Mask
from morphstream.frame import Frame


def paste_back(
    frame: Frame, crops: Crop, mask_of: Callable[[int], Mask], affines: Sequence[Affine], *, each: Each = map
) -> None:
    """Blend crops into a frame, in place, one over the other.

    Where its mask is 0, and outside its rectangle, a crop keeps the frame's bits.

    Args:
        frame: Modified.
        crops: ``(N, side, side, 3 or 4)`` uint8; a fourth channel is not read.
        mask_of: Returns the mask of a crop, by its index.
        affines: Of each.
        each: Applies a function to each index.
    """
    rectangles = [rectangle_of(frame, affine, crops.shape[1]) for affine in affines]
    inside = [i for i, (left, top, right, bottom) in enumerate(rectangles) if left < right and top < bottom]

    def warped(index: int) -> Layer:
        return _warp_in(_layer_of(crops[index], mask_of(index)), affines[index], rectangles[index])

    if _are_apart(rectangles):
        list(each(lambda index: _put(frame, warped(index), rectangles[index]), inside))
    else:
        for index, layer in zip(inside, each(warped, inside), strict=True):
            _put(frame, layer, rectangles[index])


def _layer_of(crop: Crop, mask: Mask) -> Layer:
    """Return colour times alpha, and alpha, ``(side, side, 4)`` uint8."""
    layer = cv2.cvtColor(crop, cv2.COLOR_BGR2BGRA) if crop.shape[2] == 3 else crop.copy()
    cv2.insertChannel(cv2.convertScaleAbs(mask, alpha=255), layer, 3)
    return cv2.cvtColor(layer, cv2.COLOR_RGBA2mRGBA)  # type: ignore[return-value]


def _warp_in(layer: Layer, affine: Affine, rectangle: Rectangle) -> Layer:
    """Warp a layer to its rectangle of a frame, colour and alpha together."""
    left, top, right, bottom = rectangle
    size, how = (right - left, bottom - top), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(layer, moved(affine, left, top), size, flags=how)  # type: ignore[return-value]


def _put(frame: Frame, layer: Layer, rectangle: Rectangle) -> None:
    """Blend a warped layer over a frame, in place: the layer plus the frame times one minus alpha.

    Source: Porter and Duff, "Compositing Digital Images", over with premultiplied alpha.
    """
    left, top, right, bottom = rectangle
    region = frame[top:bottom, left:right]
    under = cv2.cvtColor(region, cv2.COLOR_BGR2BGRA)
    cv2.insertChannel(cv2.bitwise_not(cv2.extractChannel(layer, 3)), under, 3)
    over = cv2.add(cv2.cvtColor(under, cv2.COLOR_RGBA2mRGBA), layer)
    region[:] = cv2.cvtColor(over, cv2.COLOR_BGRA2BGR)  # not by dst, as a mirrored frame has negative strides


def _are_apart(rectangles: Sequence[Rectangle]) -> bool:
    """Return whether no two rectangles share a pixel."""
    return not any(
        max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])
        for one, other in combinations(rectangles, 2)
    )


def carry(mask: Mask, old: Affine, new: Affine, side: int) -> Mask:
    """Warp the mask of a crop with the affine `old` into another crop, with the affine `new`; 0 outside."""
    onward = np.vstack([new, [0, 0, 1]]) @ np.linalg.inv(np.vstack([old, [0, 0, 1]]))
    return cv2.warpAffine(mask, onward[:2], (side, side), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]
