"""Whom a user chose for a face is there before whom everyone becomes, and comes back by who the face is."""

from dataclasses import replace

import numpy as np

from morphstream.face.assign import assign
from morphstream.face.look import Look
from morphstream.face.types import Face, Identity
from morphstream.live.choices import Choices, ChosenFace, Person
from tests.face import identity_of

ALICE, BOB = (identity_of([0] * place + [1]) for place in (5, 6))
HEDY, INGRID, JEAN = (identity_of([0] * place + [1]) for place in (0, 1, 2))  # who is seen
FACES = [Face(box_xyxy=np.array([x, 0.0, x + 10, 10]), points5=np.zeros((5, 2)), score=1) for x in (0, 20, 40)]


def chosen() -> Choices:
    """Return the choices of a user who has added Alice and Bob."""
    _, choices = Choices(look=Look()).with_person(Person("alice", ALICE))
    number, choices = choices.with_person(Person("bob", BOB))
    assert number == 2
    return choices


def becoming(choices: Choices, *seen: Identity) -> list[Identity | None]:
    """Return who each face that is seen becomes."""
    found = assign(FACES[: len(seen)], choices.wanted, lambda: seen)
    return [found.get(index) for index in range(len(seen))]


def test_nobody_becomes_anybody_before_that_is_chosen() -> None:
    assert becoming(chosen(), HEDY, INGRID) == [None, None]


def test_a_chosen_face_keeps_its_person_though_everyone_becomes_another() -> None:
    choices = replace(chosen(), everyone=1).with_face(3, ChosenFace(2, INGRID)).with_face(4, ChosenFace(1, JEAN))
    assert becoming(choices, HEDY, INGRID, JEAN) == [ALICE, BOB, ALICE]
    assert becoming(choices, INGRID) == [BOB]


def test_a_face_without_its_choice_becomes_whom_everyone_becomes() -> None:
    choices = replace(chosen(), everyone=1).with_face(3, ChosenFace(2, INGRID)).with_face(3, None)
    assert becoming(choices, INGRID) == [ALICE]


def test_a_person_who_is_removed_is_in_no_choice() -> None:
    choices = replace(chosen(), everyone=1).with_face(3, ChosenFace(2, INGRID)).without_person(2)
    assert becoming(choices, HEDY, INGRID) == [ALICE, ALICE]
    assert becoming(choices.without_person(1), HEDY, INGRID) == [None, None]
