"""How a swap is drawn: one value, which every choice of a call is a field of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

OccluderName = Literal["xseg_1", "xseg_2", "xseg_3", "many"]
ParserName = Literal["bisenet_resnet_34", "bisenet_resnet_18"]
LandmarkerName = Literal["2dfan4", "fan_68_5"]
RestorerName = Literal["gfpgan"]
OCCLUDERS: tuple[OccluderName, ...] = get_args(OccluderName)
PARSERS: tuple[ParserName, ...] = get_args(ParserName)
LANDMARKERS: tuple[LandmarkerName, ...] = get_args(LandmarkerName)
RESTORERS: tuple[RestorerName, ...] = get_args(RestorerName)

# Labels of the parser. Source: face-parsing.PyTorch, CelebAMask-HQ; 0 is everything outside a face.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a swap is drawn: its masks, which are multiplied, its resolution, its landmarker and its restorer.

    Attributes:
        feather: Over what part of the crop's side its border fades, 0..0.5; 0 for a hard edge.
        occluder: Finds hands and hair before a face, one of `OCCLUDERS`: ``many`` is the minimum of the three; None for
            no such mask.
        regions: Parts of the face that are swapped, of `REGIONS`, such as `FACE_REGIONS`; None for no such mask.
        parser: Finds the regions, one of `PARSERS`.
        own: Whether a swap model's own mask is used, where it has one.
        pixel_boost: Side that faces are swapped at, pixels, a multiple of the swap model's; None for the model's.
        landmarker: Finds 68 points of each detected face, one of `LANDMARKERS`; ``2dfan4`` also aligns the face by
            them. None for no 68 points.
        restorer: Sharpens faces after the swap, one of `RESTORERS`; not for real time. None for no restorer.

    Raises:
        ValueError: A value is none of these.
    """

    feather: float = FEATHER
    occluder: OccluderName | None = "xseg_1"
    regions: frozenset[str] | None = None
    parser: ParserName = "bisenet_resnet_34"
    own: bool = True
    pixel_boost: int | None = None
    landmarker: LandmarkerName | None = None
    restorer: RestorerName | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.feather <= 0.5:
            raise ValueError(f"look: expected a feather of 0..0.5 of the crop's side, seen {self.feather}")
        _check_choice("an occluder", self.occluder, (*OCCLUDERS, None))
        _check_choice("a parser", self.parser, PARSERS)
        _check_choice("a landmarker", self.landmarker, (*LANDMARKERS, None))
        _check_choice("a restorer", self.restorer, (*RESTORERS, None))
        if self.regions is not None and not frozenset() < self.regions <= REGIONS.keys():
            seen = ", ".join(sorted(self.regions - REGIONS.keys())) or "none"
            raise ValueError(f"look: expected regions of {', '.join(REGIONS)}, seen {seen}")
        if self.pixel_boost is not None and self.pixel_boost < 1:
            raise ValueError(f"look: expected a pixel boost of 1 pixel or more, seen {self.pixel_boost}")

    @property
    def finding_models(self) -> tuple[str, ...]:
        """Names of the models that finding faces needs beside the detector and the embedder."""
        return ("fan_68_5", "2dfan4") if self.landmarker == "2dfan4" else (self.landmarker,) if self.landmarker else ()

    @property
    def drawing_models(self) -> tuple[str, ...]:
        """Names of the models that drawing needs beside the swap model."""
        occluders = OCCLUDERS[:-1] if self.occluder == "many" else (self.occluder,)
        return tuple(filter(None, (*occluders, self.parser if self.regions else None, self.restorer)))

    @property
    def models(self) -> tuple[str, ...]:
        """Names of all of these models."""
        return self.finding_models + self.drawing_models


def _check_choice(what: str, seen: str | None, choices: tuple[str | None, ...]) -> None:
    if seen not in choices:
        expected = ", ".join(name for name in choices if name)
        raise ValueError(f"look: expected {what} of {expected}, seen {seen!r}")


DEFAULT_LOOK = Look()
