"""Say where a swapped crop may cover the frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.face.geometry import Each
from morphstream.face.types import Crop, Mask
from morphstream.session.session import Session

OccluderName = Literal["xseg_1", "xseg_2", "xseg_3", "many"]
ParserName = Literal["bisenet_resnet_34", "bisenet_resnet_18"]
OCCLUDERS: tuple[OccluderName, ...] = get_args(OccluderName)
PARSERS: tuple[ParserName, ...] = get_args(ParserName)

# Labels of the parser. Source: face-parsing.PyTorch, CelebAMask-HQ; 0 is what belongs to no face.
REGIONS: Mapping[str, int] = {
    "skin": 1,
    "left_brow": 2,
    "right_brow": 3,
    "left_eye": 4,
    "right_eye": 5,
    "glasses": 6,
    "left_ear": 7,
    "right_ear": 8,
    "earring": 9,
    "nose": 10,
    "mouth": 11,
    "upper_lip": 12,
    "lower_lip": 13,
    "neck": 14,
    "necklace": 15,
    "cloth": 16,
    "hair": 17,
    "hat": 18,
}
FACE_REGIONS = frozenset(name for name, label in REGIONS.items() if label <= 6 or 10 <= label <= 13)

FEATHER = 0.08  # of a crop's side
_SIGMA = 5  # pixels of the crop. Source: FaceFusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Masks:
    """Which masks decide what of a swapped crop is seen; their product does.

    Attributes:
        feather: Over what part of the crop's side its border fades, 0..0.5; 0 for a hard edge.
        occluder: What sees hands and hair before a face, one of `OCCLUDERS`: ``many`` is the least of the three;
            None for none.
        regions: Parts of the face that are swapped, of `REGIONS`, such as `FACE_REGIONS`; None for no such mask.
        parser: What finds the regions, one of `PARSERS`.
        own: Whether a swap model's own mask counts, where it has one.

    Raises:
        ValueError: A value is none of these.
    """

    feather: float = FEATHER
    occluder: OccluderName | None = "xseg_1"
    regions: frozenset[str] | None = None
    parser: ParserName = "bisenet_resnet_34"
    own: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.feather <= 0.5:
            raise ValueError(f"masks: expected a feather of 0..0.5 of the crop's side, seen {self.feather}")
        if self.occluder is not None and self.occluder not in OCCLUDERS:
            raise ValueError(f"masks: expected an occluder of {', '.join(OCCLUDERS)}, seen {self.occluder!r}")
        if self.parser not in PARSERS:
            raise ValueError(f"masks: expected a parser of {', '.join(PARSERS)}, seen {self.parser!r}")
        if self.regions is not None and not frozenset() < self.regions <= REGIONS.keys():
            seen = ", ".join(sorted(self.regions - REGIONS.keys())) or "none"
            raise ValueError(f"masks: expected regions of {', '.join(REGIONS)}, seen {seen}")

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that they need."""
        occluders = OCCLUDERS[:-1] if self.occluder == "many" else (self.occluder,) if self.occluder else ()
        return (*occluders, self.parser) if self.regions else occluders


@cache
def box_mask(side: int, feather: float = FEATHER) -> Mask:
    """Return 1 inside a square crop, falling to 0 at its border, ``(side, side)``; read-only.

    Args:
        side: Of the crop, pixels.
        feather: Over what part of the side it falls, 0..0.5.
    """
    edge = np.minimum(np.arange(side), np.arange(side)[::-1])
    ramp = np.clip(edge / (side * feather), 0, 1).astype(np.float32) if feather else np.ones(side, np.float32)
    mask: Mask = np.minimum.outer(ramp, ramp)
    mask.setflags(write=False)
    return mask


class Occluder:
    """XSeg: what of a face is visible, and not behind hair, a hand or a microphone. Several: what all of them see."""

    def __init__(self, *sessions: Session) -> None:
        self._sessions = sessions
        self._side = sessions[0].input_shapes["crop"][1]

    def look(self, crops: Crop, *, each: Each = map) -> npt.NDArray[np.float32]:
        """Return how visible the face is, as `soften` takes it.

        Args:
            crops: ``(N, side, side, 3)`` uint8 BGR, the swapper's crops before the swap.
            each: As `cut_crops` takes it.

        Returns:
            ``(N, S, S)`` float32, 0..1, S the model's own side.

        Raises:
            SessionError: An engine failed.

        Source: DeepFaceLab, XSeg; FaceFusion, the least of several.
        """
        pixels = resize(crops, self._side, each=each)
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
            each: As `cut_crops` takes it.

        Returns:
            ``(N, S, S)`` uint8, values of `REGIONS` and 0, S the model's own side.

        Raises:
            SessionError: The engine failed.

        Source: Yu et al., "BiSeNet"; face-parsing.PyTorch.
        """
        return self._session.run({"crop": resize(crops, self._side, each=each)})["labels"]


def select_regions(labels: npt.NDArray[np.uint8], regions: frozenset[str]) -> npt.NDArray[np.uint8]:
    """Return 255 where a label is one of the regions, else 0.

    Args:
        labels: ``(H, W)`` uint8, as `Parser.parse` returns.
        regions: Of `REGIONS`.
    """
    return cv2.LUT(labels, _table(regions))  # type: ignore[return-value]


def soften(mask: npt.NDArray[np.float32] | npt.NDArray[np.uint8], side: int) -> Mask:
    """Fit a mask to a crop: its edge soft, and inside what it covers.

    Args:
        mask: ``(S, S)`` float32, 0..1, or uint8, 0..255.
        side: Of the crop, pixels.

    Returns:
        ``(side, side)`` float32, 0..1.

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
    """Return a swap model's own mask, ``(side, side)`` float32, 0..1.

    Args:
        crop: ``(side, side, 4)`` uint8, as `Swapper.swap` returns; its fourth channel is the mask.
    """
    return cv2.extractChannel(crop, 3).astype(np.float32) / np.float32(255)


def resize(crops: Crop, side: int, *, each: Each = map) -> Crop:
    """Return square crops in another size, ``(N, side, side, 3)`` uint8; those of that size as they are.

    Args:
        crops: ``(N, S, S, 3)`` uint8.
        side: Pixels.
        each: As `cut_crops` takes it.
    """
    if crops.shape[1] == side:
        return crops
    fitted = np.empty((len(crops), side, side, 3), np.uint8)
    list(each(lambda place: cv2.resize(crops[place], (side, side), dst=fitted[place]), range(len(crops))))
    return fitted


@cache
def _table(regions: frozenset[str]) -> npt.NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    table[[REGIONS[name] for name in regions]] = 255
    return table
