"""How faces are found and a swap is drawn: one value, which every choice of a call is a field of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

OccluderName = Literal["xseg_1", "xseg_2", "xseg_3", "many"]
ParserName = Literal["bisenet_resnet_34", "bisenet_resnet_18"]
LandmarkerName = Literal["2dfan4", "fan_68_5"]
RestorerName = Literal["gfpgan"]
SearchName = Literal["persons"]
OCCLUDERS: tuple[OccluderName, ...] = get_args(OccluderName)
PARSERS: tuple[ParserName, ...] = get_args(ParserName)
LANDMARKERS: tuple[LandmarkerName, ...] = get_args(LandmarkerName)
RESTORERS: tuple[RestorerName, ...] = get_args(RestorerName)
SEARCHES: tuple[SearchName, ...] = get_args(SearchName)
PERSON_DETECTOR = "yolov8n"

# Labels of the parser, in its order, from 1 on; 0 is everything else. Source: face-parsing.PyTorch, CelebAMask-HQ.
_UPPER_FACE = ("skin", "left_brow", "right_brow", "left_eye", "right_eye", "glasses")
_EARS = ("left_ear", "right_ear", "earring")
_LOWER_FACE = ("nose", "mouth", "upper_lip", "lower_lip")
_BESIDE = ("neck", "necklace", "cloth", "hair", "hat")
REGIONS: Mapping[str, int] = dict(zip(_UPPER_FACE + _EARS + _LOWER_FACE + _BESIDE, range(1, 19), strict=True))
FACE_REGIONS = frozenset(_UPPER_FACE + _LOWER_FACE)
FEATHER = 0.08  # of a crop's side
ANGLES = tuple(float(angle) for angle in range(0, 360, 30))  # small faces are found up to 30 degrees from upright
_MOST_ANGLES = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a swap is drawn: its masks, which are multiplied, its resolution, its restorer; and how faces are found.

    Attributes:
        feather: Over what part of the crop's side its border fades, 0..0.5; 0 for a hard edge.
        occluder: Finds hands and hair before a face, one of `OCCLUDERS`: ``many`` is the minimum of the three; None for
            no such mask.
        regions: Parts of the face that are swapped, of `REGIONS`, such as `FACE_REGIONS`; None for no such mask.
        parser: Finds the regions, one of `PARSERS`.
        own: Whether a swap model's own mask is used, where it has one.
        pixel_boost: Side that faces are swapped at, 1..4096 pixels, a multiple of the swap model's; None for that.
        landmarker: Finds 68 points of each detected face, one of `LANDMARKERS`; ``2dfan4`` also aligns the face by
            them. None for no 68 points.
        angles: How a frame is turned, in degrees, where the first look finds no face or one in doubt, which is then
            looked at again: padded, turned, in tiles. None at all for the first look alone, as for video.
        min_score: Minimum score of a face, 0.05..1.
        detector_size: Pixels that the frame's longer side has at the first look, 32..8192: more than the detector's
            640 to find smaller faces, in tiles, too; less for large ones alone. None for the detector's.
        search: Where far faces are looked for, too, one of `SEARCHES`: ``persons`` looks closer at the heads of people.
            None for nowhere else.
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
    angles: tuple[float, ...] = ANGLES
    min_score: float = 0.5
    detector_size: int | None = None
    search: SearchName | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.feather <= 0.5:
            raise ValueError(f"look: expected a feather of 0..0.5 of the crop's side, seen {self.feather}")
        _check_choice("an occluder", self.occluder, (*OCCLUDERS, None))
        _check_choice("a parser", self.parser, PARSERS)
        _check_choice("a landmarker", self.landmarker, (*LANDMARKERS, None))
        _check_choice("a restorer", self.restorer, (*RESTORERS, None))
        _check_choice("a search", self.search, (*SEARCHES, None))
        if self.regions is not None and not frozenset() < self.regions <= REGIONS.keys():
            seen = ", ".join(sorted(self.regions - REGIONS.keys())) or "none"
            raise ValueError(f"look: expected regions of {', '.join(REGIONS)}, seen {seen}")
        if self.pixel_boost is not None and not 1 <= self.pixel_boost <= 4096:
            raise ValueError(f"look: expected a pixel boost of 1..4096 pixels, seen {self.pixel_boost}")
        if not all(-360 <= angle <= 360 for angle in self.angles) or len(self.angles) > _MOST_ANGLES:
            raise ValueError(f"look: expected {_MOST_ANGLES} angles of -360..360 degrees at most, seen {self.angles}")
        if not 0.05 <= self.min_score <= 1:
            raise ValueError(f"look: expected a minimum score of 0.05..1, seen {self.min_score}")
        if self.detector_size is not None and not 32 <= self.detector_size <= 8192:
            raise ValueError(f"look: expected a detector size of 32..8192 pixels, seen {self.detector_size}")

    @property
    def finding_models(self) -> tuple[str, ...]:
        """Names of the models that finding faces needs beside the detector and the embedder."""
        landmarkers = ("fan_68_5", "2dfan4") if self.landmarker == "2dfan4" else (self.landmarker,)
        return tuple(filter(None, (*landmarkers, PERSON_DETECTOR if self.search else None)))

    @property
    def drawing_models(self) -> tuple[str, ...]:
        """Names of the models that drawing needs beside the swap model."""
        occluders = OCCLUDERS[:-1] if self.occluder == "many" else (self.occluder,)
        return tuple(filter(None, (*occluders, self.parser if self.regions else None, self.restorer)))

    @property
    def models(self) -> tuple[str, ...]:
        """Names of both."""
        return self.finding_models + self.drawing_models


def _check_choice(what: str, seen: str | None, choices: tuple[str | None, ...]) -> None:
    if seen not in choices:
        expected = ", ".join(name for name in choices if name)
        raise ValueError(f"look: expected {what} of {expected}, seen {seen!r}")


DEFAULT_LOOK = Look()
