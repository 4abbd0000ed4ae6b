"""Tracks of one person are put together, whoever comes between them, and the best portrait is kept."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from morphstream.face.people import PeopleFinder, VideoPerson
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame
from tests.face import identity_of

ANN, BEN = 40, 200  # the grey of their faces
GREYS = {ANN: identity_of([1, 0]), BEN: identity_of([0, 0, 1]), 45: identity_of([1, 0.4])}


def embed(frame: Frame, faces: Sequence[Face]) -> list[Identity]:
    """Return who faces are by the grey in their middles."""
    return [GREYS[int(frame[tuple(face.points5.mean(axis=0).astype(int)[::-1])][0])] for face in faces]


def seen(*faces: tuple[int, int, int, float], side: int = 30) -> FoundFaces:
    """Return a frame with square faces: track, grey, left edge, score."""
    frame = np.zeros((100, 300, 3), np.uint8)
    found = []
    for _, grey, left, score in faces:
        frame[20 : 20 + side, left : left + side] = grey
        box = np.array([left, 20.0, left + side, 20 + side])
        points = np.array([[left + side / 2 + x, 20 + side / 2 + x] for x in range(-2, 3)])
        found.append(Face(box_xyxy=box, points5=points, score=score))
    return replace(FoundFaces(frame=frame, faces=found, assignment={}), tracks=[face[0] for face in faces])


def people(*frames: FoundFaces, threshold: float = 0.4) -> list[VideoPerson]:
    finder = PeopleFinder(embed, threshold=threshold)
    for index, found in enumerate(frames):
        finder.see(found, Fraction(index, 10))
    return finder.people()


def test_who_is_seen_most_comes_first_with_the_times() -> None:
    both, ben = seen((1, ANN, 10, 0.9), (2, BEN, 100, 0.8)), seen((2, BEN, 100, 0.8))
    first, second = people(ben, both, both, ben)
    assert (first.frames, first.first, first.last, first.tracks) == (4, Fraction(0), Fraction(3, 10), 1)
    assert (second.frames, second.first, second.last) == (2, Fraction(1, 10), Fraction(2, 10))
    assert first.identity.similarity(GREYS[BEN]) == pytest.approx(1)


def test_tracks_of_one_person_are_one_person_with_the_best_portrait() -> None:
    small, large = seen((1, ANN, 10, 0.9)), seen((7, 45, 200, 0.9), side=60)
    twins = people(*[seen((1, ANN, 10, 0.9), (2, ANN, 100, 0.8))] * 3)
    assert [(person.tracks, person.frames) for person in twins] == [(2, 3)]
    empty = seen()
    person, ben = people(small, seen((2, BEN, 100, 0.9)), *[empty] * 70, large, large)
    assert (person.tracks, person.frames, person.portrait.size_wh) == (2, 3, (60, 60))
    assert person.identity.similarity(Identity.mean_of([GREYS[ANN], GREYS[45]])) == pytest.approx(1)
    assert person.portrait.frame.shape == (100, 145, 3)
    assert (ben.tracks, ben.frames) == (1, 1)
    assert len(people(small, large, threshold=0.95)) == 2


def test_a_video_without_a_face_has_nobody() -> None:
    assert people(seen(), seen()) == []
