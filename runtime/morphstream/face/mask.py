"""Make masks: where a swapped crop covers the frame."""

from collections.abc import Callable, Sequence
from functools import cache, reduce

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.face.geometry import Each
from morphstream.face.look import FEATHER, REGIONS
from morphstream.face.types import Crop, Mask
from morphstream.session.session import Session

_SIGMA = 5  # pixels of the crop. Source: FaceFusion
_AROUND = 4  # of a crop's side: a change is as large as its mean over this part
_LEAST, _GAIN = 0.2, 3  # share of a change that a frame takes over, and how it grows with the change around


@cache
def box_mask(side: int, feather: float = FEATHER) -> Mask:
    """Return 1 inside a crop, falling to 0 at its border over a part of its side, `feather`, 0..0.5; read-only."""
    edge = np.minimum(np.arange(side), np.arange(side)[::-1])
    ramp = np.clip(edge / (side * feather), 0, 1).astype(np.float32) if feather else np.ones(side, np.float32)
    mask: Mask = np.minimum.outer(ramp, ramp)
    mask.setflags(write=False)
    return mask


class Occluder:
    """XSeg: what of a face is visible, not behind hair, a hand or a microphone. Several: what is visible to all."""

    def __init__(self, *sessions: Session) -> None:
        self._sessions = sessions
        self._side = sessions[0].input_shapes["crop"][1]

    def find_visible(self, crops: Crop, *, each: Each = map) -> npt.NDArray[np.float32]:
        """Return how visible each pixel of the face is; `soften` makes a mask of it.

        Args:
            crops: ``(N, side, side, 3)`` uint8 BGR, the swapper's crops before the swap.
            each: Applies a function to each index.

        Returns:
            ``(N, S, S)`` float32, 0..1, S the model's own side.

        Raises:
            SessionError: An engine failed.

        Source: DeepFaceLab, XSeg; FaceFusion, the least of several.
        """
        pixels = _resize(crops, self._side, each)
        seen = [session.run({"crop": pixels})["mask"][..., 0] for session in self._sessions]
        return np.clip(reduce(np.minimum, seen[1:], seen[0]), 0, 1).astype(np.float32, copy=False)


class Parser:
    """BiSeNet: which part of a face each pixel is."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._side = session.input_shapes["crop"][1]

    def parse(self, crops: Crop, *, each: Each = map) -> npt.NDArray[np.uint8]:
        """Return the label of each pixel.

        Args:
            crops: ``(N, side, side, 3)`` uint8 BGR, the swapper's crops before the swap.
            each: Applies a function to each index.

        Returns:
            ``(N, S, S)`` uint8, values of `REGIONS` and 0, S the model's own side.

        Raises:
            SessionError: The engine failed.

        Source: Yu et al., "BiSeNet"; face-parsing.PyTorch.
        """
        return self._session.run({"crop": _resize(crops, self._side, each)})["labels"]


def select_regions(labels: npt.NDArray[np.uint8], regions: frozenset[str]) -> npt.NDArray[np.uint8]:
    """Return 255 where a label ``(H, W)`` of `Parser.parse` is one of the regions, else 0."""
    return cv2.LUT(labels, _table(regions))  # type: ignore[return-value]


@cache
def _table(regions: frozenset[str]) -> npt.NDArray[np.uint8]:
    """Return 255 for the label of each region, 0 for the others, ``(256,)``."""
    table = np.zeros(256, np.uint8)
    table[[REGIONS[name] for name in regions]] = 255
    return table


def soften(mask: npt.NDArray[np.float32] | npt.NDArray[np.uint8], side: int) -> Mask:
    """Fit a mask to a crop, ``(side, side)`` float32, 0..1, with a soft edge on its inside.

    Args:
        mask: ``(S, S)`` float32, 0..1, or uint8, 0..255.
        side: Of the crop.

    Source: FaceFusion, ``create_occlusion_mask`` and ``create_region_mask``: blur, then contrast.
    """
    fitted = cv2.resize(mask, (side, side)) if len(mask) != side else mask
    is_bytes = mask.dtype == np.uint8
    soft = cv2.GaussianBlur(fitted.astype(np.float32) if is_bytes else fitted, (0, 0), _SIGMA)
    contrast: Mask = np.asarray(soft, np.float32)
    contrast *= np.float32(2 / 255 if is_bytes else 2)
    contrast -= np.float32(1)
    return np.clip(contrast, 0, 1, out=contrast)


def own_mask(crop: Crop) -> Mask:
    """Return a swap model's own mask, ``(side, side)`` float32, 0..1: the fourth channel of what it returned."""
    return cv2.extractChannel(crop, 3).astype(np.float32) / np.float32(255)


class SteadyMasks:
    """The masks of a stream's faces, each smoothed over time by its track; for one thread and frames in order.

    Where a mask differs from the one before in a small place, it is taken for flicker and follows slowly; where it does
    so in a large one, something moved before the face, and it follows at once.
    """

    def __init__(self) -> None:
        self._masks: dict[int, Mask] = {}

    def clear(self) -> None:
        """Forget the frame before: what follows doesn't depend on it."""
        self._masks = {}

    def smoothed(self, mask_of: Callable[[int], Mask], tracks: Sequence[int]) -> Callable[[int], Mask]:
        """Return what gives the smoothed mask of each face of the next frame.

        Args:
            mask_of: Returns the mask of a face, by its index; called once for each.
            tracks: Of each face. The others are forgotten.
        """
        before, masks = self._masks, dict[int, Mask]()
        self._masks = masks

        def smoothed_of(index: int) -> Mask:
            track = tracks[index]
            if track not in masks:
                masks[track] = _follow(before.get(track), mask_of(index))
            return masks[track]

        return smoothed_of


def _follow(old: Mask | None, new: Mask) -> Mask:
    """Move a mask towards the next one of the same track, each pixel the faster the more changes around it."""
    if old is None or old.shape != new.shape:
        return new
    change = new - old
    around = len(new) // _AROUND
    share = cv2.blur(np.abs(change), (around, around)) * np.float32(_GAIN) + np.float32(_LEAST)
    change *= np.minimum(share, 1)
    return np.asarray(old + change, np.float32)


def _resize(crops: Crop, side: int, each: Each) -> Crop:
    """Return square crops in another size, ``(N, side, side, 3)`` uint8; those of that size as they are."""
    if crops.shape[1] == side:
        return crops
    fitted = np.empty((len(crops), side, side, 3), np.uint8)
    list(each(lambda index: cv2.resize(crops[index], (side, side), dst=fitted[index]), range(len(crops))))
    return fitted
