"""Paste new crops into a frame through their masks."""

from collections.abc import Callable, Sequence
from itertools import combinations

import cv2
import numpy as np

from morphstream.face.geometry import Each, Warped, layer_of, put, rectangle_of, warp_in
from morphstream.face.types import Affine, Crop, Mask
from morphstream.frame import Frame


def paste(
    frame: Frame, new: Crop, mask_of: Callable[[int], Mask], affines: Sequence[Affine], *, each: Each = map
) -> None:
    """Paste crops into a frame, in place, one over the other.

    Args:
        frame: ``(H, W, 3)`` uint8, modified.
        new: ``(N, side, side, 3 or 4)`` uint8; a fourth channel is not read.
        mask_of: Returns the mask of each, ``(side, side)``.
        affines: Frame to crop, of each.
        each: As in `cut_crops`.
    """

    def warped(index: int) -> Warped:
        return warp_in(frame, layer_of(new[index], mask_of(index)), affines[index])

    indices = range(len(new))
    if _are_apart([rectangle_of(frame, affine, new.shape[1]) for affine in affines]):
        list(each(lambda index: put(frame, warped(index)), indices))
    else:
        for layer in list(each(warped, indices)):
            put(frame, layer)


def _are_apart(rectangles: Sequence[tuple[int, int, int, int]]) -> bool:
    """Return whether no two rectangles share a pixel."""
    return not any(
        max(left, other_left) < min(right, other_right) and max(top, other_top) < min(bottom, other_bottom)
        for (left, top, right, bottom), (other_left, other_top, other_right, other_bottom) in combinations(
            rectangles, 2
        )
    )


def carry(mask: Mask, old: Affine, new: Affine, side: int) -> Mask:
    """Warp the mask of one crop into another crop, ``(side, side)``; 0 outside.

    Args:
        mask: Of the first crop.
        old: Frame to that crop.
        new: Frame to the other.
        side: Of the other.
    """
    onward = np.vstack([new, [0, 0, 1]]) @ np.linalg.inv(np.vstack([old, [0, 0, 1]]))
    return cv2.warpAffine(mask, onward[:2], (side, side), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]
