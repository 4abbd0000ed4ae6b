"""Say where a swapped crop may cover the frame."""

from functools import cache

import cv2
import numpy as np

from morphstream.face.types import Crop, Mask
from morphstream.session.session import Session

_FEATHER = 0.08  # of the crop's side


@cache
def box_mask(side: int) -> Mask:
    """Return 1 inside a square crop, falling to 0 at its border, ``(side, side)``; read-only."""
    edge = np.minimum(np.arange(side), np.arange(side)[::-1]) / (side * _FEATHER)
    ramp = np.clip(edge, 0, 1).astype(np.float32)
    mask: Mask = np.minimum.outer(ramp, ramp)
    mask.setflags(write=False)
    return mask


class Occluder:
    """XSeg: what of a face is visible, and not behind hair, a hand or a microphone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._side = session.input_shapes["crop"][1]

    def mask(self, crop: Crop) -> Mask:
        """Return where the face is visible.

        Args:
            crop: ``(side, side, 3)`` uint8, the swapper's crop before the swap.

        Returns:
            ``(side, side)``.

        Raises:
            SessionError: The engine failed.

        Source: FaceFusion, blur and contrast of the mask.
        """
        side = crop.shape[0]
        pixels = crop if side == self._side else cv2.resize(crop, (self._side, self._side))
        visible = self._session.run({"crop": pixels[None]})["mask"][0, :, :, 0]
        soft = cv2.GaussianBlur(cv2.resize(visible, (side, side)), (0, 0), 5)
        return ((np.clip(soft, 0.5, 1) - 0.5) * 2).astype(np.float32)
