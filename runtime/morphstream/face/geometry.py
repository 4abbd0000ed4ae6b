"""Geometry of a face crop: fit a template, cut the crop, paste it back."""

import cv2
import numpy as np

from morphstream.face.types import Affine, Crop, Frame, Mask, Points

# Left eye, right eye, nose, left and right mouth corner, in fractions of the crop's side. Source: InsightFace.
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
_LEAST_SPREAD = 1e-6  # pixels, above what rounding makes of five equal points


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

    Source: Umeyama 1991, in closed form for two dimensions.
    """
    target = template * side
    source_mean, target_mean = points5.mean(0), target.mean(0)
    if not np.ptp(points5, axis=0).max() > _LEAST_SPREAD:
        raise ValueError("expected five points that differ, seen one point five times")
    source, target = points5 - source_mean, target - target_mean
    square = (source * source).sum()
    cos = (source * target).sum() / square
    sin = (source[:, 0] * target[:, 1] - source[:, 1] * target[:, 0]).sum() / square
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, target_mean - turn @ source_mean])


def cut_crop(frame: Frame, affine: Affine, side: int) -> Crop:
    """Warp a square crop out of a frame; beyond the frame its edge goes on, so that no dark padding bleeds in.

    Args:
        frame: ``(H, W, 3)`` uint8.
        affine: Frame to crop.
        side: Side of the crop, pixels.

    Returns:
        ``(side, side, 3)`` uint8.
    """
    return cv2.warpAffine(frame, affine, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def paste_back(frame: Frame, crop: Crop, mask: Mask, affine: Affine) -> None:
    """Blend a crop into a frame, in place and inside the crop's own rectangle only.

    Colour, already times alpha, and alpha are warped together, as four uint8 channels. Where alpha is 0 the frame
    keeps its bits.

    Args:
        frame: ``(H, W, 3)`` uint8, modified.
        crop: ``(side, side, 3)`` uint8.
        mask: ``(side, side)`` float32, 0..1.
        affine: Frame to crop, as for `cut_crop`.
    """
    side = crop.shape[0]
    inverse = cv2.invertAffineTransform(affine)
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]]) - 0.5
    spots = corners @ inverse[:, :2].T + inverse[:, 2]
    height, width = frame.shape[:2]
    left, top = np.clip(np.floor(spots.min(0)).astype(int), 0, (width, height))
    right, bottom = np.clip(np.ceil(spots.max(0)).astype(int) + 1, 0, (width, height))
    if left >= right or top >= bottom:
        return
    alpha = np.rint(mask * 255).astype(np.uint8)
    coloured = cv2.multiply(crop, cv2.merge([alpha, alpha, alpha]), scale=1 / 255)
    layers = cv2.merge([*cv2.split(coloured), alpha])
    shifted = affine.copy()
    shifted[:, 2] += affine[:, :2] @ (left, top)
    size = (int(right - left), int(bottom - top))
    warped = cv2.warpAffine(
        layers, shifted, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT
    )
    *colours, cover = cv2.split(warped)
    rest = cv2.bitwise_not(cover)
    region = frame[top:bottom, left:right]
    kept = cv2.multiply(region, cv2.merge([rest, rest, rest]), scale=1 / 255)
    frame[top:bottom, left:right] = cv2.add(kept, cv2.merge(colours))
