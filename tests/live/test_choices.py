"""Whom a user chose for a face is there before whom everyone becomes, and comes back by who the face is."""

from dataclasses import replace

import numpy as np

from morphstream.face.assign import assign
from morphstream.face.look import Look
from morphstream.face.types import Face, Identity
from morphstream.live.choices import Choices, Person
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
    choices = replace(chosen(), everyone=1).with_face(INGRID, 2).with_face(JEAN, 1)
    assert becoming(choices, HEDY, INGRID, JEAN) == [ALICE, BOB, ALICE]
    assert becoming(choices, INGRID) == [BOB]


def test_a_face_that_comes_back_may_be_chosen_again() -> None:
    choices = replace(chosen(), everyone=2).with_face(INGRID, 2).with_face(later := identity_of([0.5, 1]), 1)
    assert becoming(choices, INGRID) == [ALICE]
    assert becoming(choices.with_face(JEAN, 1).with_face(INGRID, None), later, JEAN) == [BOB, ALICE]


def test_everyone_becomes_the_first_person_of_the_command_line() -> None:
    own = Choices.of([Person("alice", ALICE), Person("bob", BOB)], Look())
    assert becoming(own, HEDY, INGRID) == [ALICE, ALICE]
    assert own.with_person(Person("carol", JEAN))[0] == 3
    assert becoming(Choices.of([], Look()), HEDY) == [None]


def test_a_person_who_is_removed_is_in_no_choice() -> None:
    choices = replace(chosen(), everyone=1).with_face(INGRID, 2).without_person(2)
    assert becoming(choices, HEDY, INGRID) == [ALICE, ALICE]
    assert becoming(choices.without_person(1), HEDY, INGRID) == [None, None]
