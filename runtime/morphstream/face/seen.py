"""A face of a frame as one view of it shows it: how far it is turned there, and whether it is to be doubted; pure."""

import cmath
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.face.geometry import ARCFACE_112_V2, align, transform
from morphstream.face.types import Affine, Face, Person
from morphstream.face.views import head_square

_TILT = 16  # degrees
_SPREAD = 0.18  # of a crop's side, from the template: a face seen from any side has less
LOW = 0.72  # score; few faces that were taken for upright ones upside down had more (ADR 30)


class Seen(NamedTuple):
    """A face of the frame, as one view shows it.

    Attributes:
        face: In pixels of the frame.
        turn: How far it is turned in the frame.
        tilt: How far it is turned in the view.
        is_odd: Whether it may be another way round, or no face.
    """

    face: Face
    turn: float
    tilt: float
    is_odd: bool

    @property
    def is_doubtful(self) -> bool:
        """Whether it is to be looked at once more."""
        return self.is_odd or abs(self.tilt) > _TILT


def judged(face: Face, in_view: Face, turn: float, low: float = LOW) -> Seen:
    """Return a face of the frame, judged by how a view that is turned shows it; `low` is the least score upright."""
    try:
        affine = align(in_view.points5, ARCFACE_112_V2, 1)
    except ValueError:  # five points that are one
        return Seen(face, turn, 0, is_odd=True)
    tilt = math.degrees(math.atan2(affine[1, 0], affine[0, 0]))
    spread = np.abs(transform(in_view.points5, affine) - ARCFACE_112_V2).max()
    least = low if abs(tilt) <= _TILT else LOW
    return Seen(face, turn + tilt, tilt, is_odd=bool(spread > _SPREAD) or face.score < least)


def common_turn(found: Sequence[Seen]) -> float | None:
    """Return how a picture is turned, most of whose faces are, so that the first look missed others; else None."""
    turns = [cmath.rect(1, math.radians(seen.turn)) for seen in found]
    turned = [turn for turn in turns if abs(cmath.phase(turn)) > math.radians(_TILT)]
    return math.degrees(cmath.phase(sum(turned))) if 2 * len(turned) > len(found) else None


def mapped_back(face: Face, affine: Affine) -> Face:
    """Map a face of a view to the frame; its box is that around the ellipse in the turned box."""
    inverse = np.asarray(cv2.invertAffineTransform(affine), np.float64)
    half = np.hypot(*(inverse[:, :2] * (face.box_xyxy[2:] - face.box_xyxy[:2]) / 2).T)
    middle = transform(face.middle, inverse)
    box = np.concatenate([middle - half, middle + half])
    return replace(face, box_xyxy=box, points5=transform(face.points5, inverse))


def distinct(found: Sequence[Seen]) -> list[Seen]:
    """Return one of what was seen of each face, that with the greatest score."""
    kept: list[Seen] = []
    for seen in sorted(found, key=lambda seen: -seen.face.score):
        if not any(are_one(seen, other) for other in kept):
            kept.append(seen)
    return kept


def are_one(one: Seen, other: Seen) -> bool:
    """Return whether two faces are one: the middle of one is in the box of the other."""
    pairs = [(one.face.middle, other.face.box_xyxy), (other.face.middle, one.face.box_xyxy)]
    return any(_is_inside(middle, box) for middle, box in pairs)


def is_head(face: Face, person: Person) -> bool:
    """Return whether a face is where a person's head is, and not beside it, where others of a crowd are."""
    left, top, right, bottom = head_square(person.box_xyxy)
    quarter = (right - left) / 4
    return _is_inside(face.middle, np.array([left + quarter, top, right - quarter, bottom]))


def _is_inside(point: npt.NDArray[np.float64], box_xyxy: npt.NDArray[np.float64]) -> bool:
    return bool((box_xyxy[:2] <= point).all() and (point <= box_xyxy[2:]).all())
