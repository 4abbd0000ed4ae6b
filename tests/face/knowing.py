"""A finder that knows where the faces of a clip are, and people to find and to become."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from bench.clips import Clip, Truth
from morphstream.face.geometry import Rectangle
from morphstream.face.hidden import apart
from morphstream.face.look import Look
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame
from tests.face import identity_of

ALICE, BOB, CAROL = (identity_of([0] * (5 + place) + [1]) for place in range(3))
PEOPLE = [identity_of([0] * place + [1]) for place in range(3)]
SIZE = (320, 180)


@dataclass
class Knowing:
    """Finds the faces of a clip by its truth, with the noise of a detector, and counts what it is asked."""

    made: Clip
    noise: float = 0.01
    is_eager: bool = False  # sees faces that others half cover, too, less exactly
    asked: Counter[str] = field(default_factory=Counter)
    index: int = 0
    looks: list[Look] = field(default_factory=list)
    withins: list[Rectangle | None] = field(default_factory=list)

    def frames(self, count: int | None = None, start: int = 0) -> Iterator[tuple[Frame, Fraction]]:
        """Yield frames with their times; what is asked is about the last of them."""
        for index in range(start, count or self.made.count):
            self.index = index
            yield self.made.frame(index), Fraction(index, 25)

    def _visible(self) -> list[tuple[Truth, Face]]:
        random = np.random.default_rng(self.index)
        return [
            (truth, face_at(truth.points5 + random.normal(0, truth.eyes * error, (5, 2))))
            for truth in self.made.truth(self.index)
            if (error := self._error(truth)) is not None
        ]

    def _error(self, truth: Truth) -> float | None:
        """Return how far off the detector is, in distances of the eyes; None where it doesn't see a face."""
        if not truth.is_hidden:
            return self.noise
        others = (other for other in self.made.truth(self.index) if other is not truth)
        near = min(off(face_at(other.points5), truth) for other in others)
        return 5 * self.noise if self.is_eager and near > 1.6 else None

    def find(self, frame: Frame, look: Look, *, within: Rectangle | None = None) -> FoundFaces:
        """Return the visible faces."""
        self.asked["around"] += 1
        self.looks.append(look)
        self.withins.append(within)
        assert look.angles == ()
        faces = [face for _, face in self._visible() if within is None or _is_in(face, within)]
        return FoundFaces(frame=frame, faces=faces, assignment={}, looks=1)

    def find_near(self, frame: Frame, faces: Sequence[Face], look: Look) -> list[Face | None]:
        """Return the visible face at each place."""
        self.asked["near"] += len(faces)
        self.looks.append(look)
        assert frame.shape[1::-1] == self.made.size_wh
        assert look.min_score < Look().min_score
        visible = [face for _, face in self._visible()]
        near = [sorted((apart(face, old), index) for index, face in enumerate(visible)) for old in faces]
        return [visible[best[0][1]] if best and best[0][0] < 0.5 else None for best in near]

    def embed(self, frame: Frame, faces: Sequence[Face]) -> list[Identity]:
        """Return who is nearest to each place."""
        self.asked["embed"] += len(faces)
        assert frame.shape[1::-1] == self.made.size_wh
        truths = self.made.truth(self.index)
        return [PEOPLE[min(truths, key=lambda truth: off(face, truth)).person] for face in faces]


def face_at(points5: np.ndarray[Any, np.dtype[np.float64]]) -> Face:
    """Return a face with a box as a detector gives it."""
    middle, eyes = points5.mean(0), np.hypot(*(points5[1] - points5[0]))
    half = np.array([1.05, 1.4]) * eyes
    return Face(box_xyxy=np.concatenate([middle - half, middle + half]), points5=points5, score=0.8)


def _is_in(face: Face, rectangle: Rectangle) -> bool:
    (x, y), (left, top, right, bottom) = face.points5.mean(0), rectangle
    return bool(left <= x < right and top <= y < bottom)


def off(face: Face, truth: Truth) -> float:
    """Return how far a face is from the truth, in distances of the eyes."""
    return float(np.linalg.norm(face.points5 - truth.points5, axis=1).mean() / truth.eyes)


def becomes(found: FoundFaces, truth: Truth) -> Identity | None:
    """Return who a face of the truth becomes; None if it isn't found, or stays."""
    near = {index: apart for index, face in enumerate(found.faces) if (apart := off(face, truth)) < 0.3}
    return found.assignment.get(min(near, key=near.__getitem__)) if near else None
