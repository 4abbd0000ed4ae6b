"""Who becomes whom follows from the faces and the wishes alone; identities are asked for only to compare them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from morphstream.face.assign import Wanted, assign, at, everyone, hold, largest, like, rules_of
from morphstream.face.types import Face, Identity
from tests.face import identity_of

ALICE, BOB, CAROL = identity_of([1]), identity_of([0, 1]), identity_of([0, 0, 1])


def face_at(left: float, side: float) -> Face:
    return Face(box_xyxy=np.array([left, 0, left + side, side]), points5=np.zeros((5, 2)), score=1)


MIDDLE, RIGHT, LEFT = FACES = [face_at(100, 20), face_at(150, 60), face_at(10, 40)]  # the surest first


def never() -> Sequence[Identity]:
    raise AssertionError("expected no question for identities, seen one")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(ALICE, {0: ALICE, 1: ALICE, 2: ALICE}, id="an identity"),
        pytest.param({ALICE: everyone}, {0: ALICE, 1: ALICE, 2: ALICE}, id="everyone"),
        pytest.param({ALICE: largest}, {1: ALICE}, id="the largest"),
        pytest.param({ALICE: at("left")}, {2: ALICE}, id="the leftmost"),
        pytest.param({ALICE: at("right")}, {1: ALICE}, id="the rightmost"),
        pytest.param({ALICE: at(1), BOB: at(2), CAROL: at(3)}, {2: ALICE, 0: BOB, 1: CAROL}, id="counted"),
        pytest.param({ALICE: at(4)}, {}, id="more than there are"),
        pytest.param({0: ALICE, 2: BOB}, {0: ALICE, 2: BOB}, id="by index"),
        pytest.param({np.int64(1): ALICE}, {1: ALICE}, id="by an index of NumPy"),
        pytest.param({3: ALICE, -1: BOB}, {}, id="by an index that there is not"),
        pytest.param({}, {}, id="nothing"),
        pytest.param({ALICE: at("left"), BOB: everyone}, {0: BOB, 1: BOB, 2: ALICE}, id="one and the rest"),
        pytest.param({BOB: everyone, ALICE: at("left")}, {0: BOB, 1: BOB, 2: BOB}, id="the first rule wins"),
        pytest.param({ALICE: [at(1), largest], BOB: (at(2),)}, {2: ALICE, 1: ALICE, 0: BOB}, id="several rules"),
    ],
)
def test_faces_become_who_is_wanted(wanted: Wanted, expected: dict[int, Identity]) -> None:
    assert assign(FACES, wanted, never) == expected
    assert assign([], wanted, never) == {}


def test_of_faces_of_one_size_or_place_the_surest_is_picked() -> None:
    twins = [face_at(10, 20), face_at(10, 20)]
    for rule in (largest, at("left"), at(1)):
        assert assign(twins, {ALICE: rule}, never) == {0: ALICE}


def between(first: Identity, second: Identity, cosine: float) -> Identity:
    """Return an identity with that cosine to the first of two that have none in common."""
    return Identity(embedding=cosine * first.embedding + (1 - cosine**2) ** 0.5 * second.embedding)


def test_every_face_like_a_reference_is_picked() -> None:
    seen = [between(BOB, CAROL, 0.39), between(BOB, CAROL, 0.41), BOB]
    assert assign(FACES, {ALICE: like(BOB)}, lambda: seen) == {1: ALICE, 2: ALICE}
    assert assign(FACES, {ALICE: like(BOB, threshold=0.9)}, lambda: seen) == {2: ALICE}
    assert assign(FACES, {ALICE: like(BOB, 0.38)}, lambda: seen) == {0: ALICE, 1: ALICE, 2: ALICE}


def test_a_face_like_two_references_gets_the_identity_of_the_nearer() -> None:
    seen = [between(BOB, CAROL, 0.8), between(BOB, CAROL, 0.6)]  # 0.6 and 0.8 to the other
    wanted: dict[Identity, Any] = {ALICE: like(BOB), BOB: like(CAROL)}
    assert assign(FACES[:2], wanted, lambda: seen) == {0: ALICE, 1: BOB}
    assert assign(FACES[:2], dict(reversed(wanted.items())), lambda: seen) == {0: ALICE, 1: BOB}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({CAROL: largest, ALICE: like(BOB)}, {0: ALICE, 1: CAROL, 2: ALICE}),
        ({ALICE: like(BOB), CAROL: everyone}, {0: ALICE, 1: ALICE, 2: ALICE}),
        ({ALICE: like(BOB), CAROL: everyone, BOB: like(BOB)}, {0: ALICE, 1: ALICE, 2: ALICE}),
        ({CAROL: like(CAROL, -1), BOB: largest, ALICE: like(BOB)}, {0: ALICE, 1: ALICE, 2: ALICE}),
    ],
    ids=["largest first", "like first", "the same cosine", "the nearer like of a first like"],
)
def test_between_a_like_and_another_rule_the_first_wins(wanted: Wanted, expected: dict[int, Identity]) -> None:
    assert assign(FACES, wanted, lambda: [BOB] * 3) == expected


def test_identities_are_asked_for_once() -> None:
    asked: list[int] = []

    def identities() -> Sequence[Identity]:
        asked.append(1)
        return [ALICE, BOB, CAROL]

    assert assign(FACES, {BOB: like(ALICE), CAROL: like(BOB)}, identities) == {0: BOB, 1: CAROL}
    assert len(asked) == 1
    assert assign([], {BOB: like(ALICE)}, never) == {}


@pytest.mark.parametrize("position", [0, -1, True, "middle", 1.5, None])
def test_a_position_that_there_is_not_is_refused(position: Any) -> None:
    with pytest.raises(ValueError, match=r"^at: expected left, right, or 1 or more from the left, seen"):
        at(position)


@pytest.mark.parametrize("threshold", [1.1, -1.1, float("nan")])
def test_a_threshold_that_is_no_cosine_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"^like: expected a cosine of -1\.\.1"):
        like(ALICE, threshold)


def test_a_reference_that_is_no_identity_is_refused() -> None:
    reference: Any = ALICE.embedding
    with pytest.raises(TypeError, match=r"^like: expected an identity as reference, seen ndarray"):
        like(reference)


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({ALICE: "largest"}, id="a rule's name"),
        pytest.param({ALICE: BOB}, id="an identity as a rule"),
        pytest.param({0: "alice"}, id="an identity's name"),
        pytest.param({"left": ALICE}, id="a name as an index"),
        pytest.param({ALICE: everyone, BOB: None}, id="no rule"),
        pytest.param([(ALICE, everyone)], id="pairs"),
        pytest.param({ALICE: []}, id="no rules"),
        pytest.param({ALICE: [largest, "left"]}, id="a rule's name among others"),
        pytest.param(None, id="nothing"),
    ],
)
def test_what_is_no_rule_or_identity_is_refused(wanted: Any) -> None:
    with pytest.raises(TypeError, match=r"^assign: expected a"):
        assign(FACES, wanted, never)
    with pytest.raises(TypeError, match=r"^assign: expected a"):
        assign([], wanted, never)


def test_rules_compare_by_value() -> None:
    assert at(2) == at(2) != at(3)
    assert like(ALICE) == like(identity_of([1]), 0.4) != like(BOB)


def test_a_rule_by_place_or_size_is_decided_when_a_track_begins_and_stays_with_it() -> None:
    wanted: dict[Identity, Any] = {ALICE: [at(1), largest], BOB: at("right"), CAROL: like(ALICE)}
    held = hold(FACES, [4, 5, 6], {4, 5, 6}, wanted, {})
    assert held == {at(1): 6, largest: 5, at("right"): 5}
    assert hold(FACES[::-1], [4, 5, 6], set(), wanted, held) == held
    left_gone = {rule: track for rule, track in held.items() if track != 6}
    assert hold(FACES[:2], [4, 5], set(), wanted, left_gone) == left_gone  # nobody else becomes the leftmost
    new = face_at(0, 5)
    assert hold([*FACES[:2], new], [4, 5, 7], {7}, wanted, left_gone) == left_gone | {at(1): 7}


def test_what_a_rule_has_picked_earlier_is_assigned() -> None:
    wanted: dict[Identity, Any] = {ALICE: [at(1), largest], BOB: at("right"), CAROL: everyone}
    assert assign(FACES, wanted, never, held={at(1): 0, at("right"): 1}) == {0: ALICE, 1: BOB, 2: CAROL}
    assert assign(FACES, {0: ALICE, 1: BOB}, never, held={1: 2}) == {2: BOB}
    assert assign(FACES, {ALICE: at(1)}, never, held={}) == {}


def test_rules_are_listed_in_their_order() -> None:
    wanted: dict[Identity, Any] = {ALICE: [at(1), largest], BOB: like(ALICE)}
    assert rules_of(wanted) == [at(1), largest, like(ALICE)]
    assert rules_of(ALICE) == [everyone]
    assert rules_of({}) == []
    assert rules_of({3: ALICE}) == [3]
