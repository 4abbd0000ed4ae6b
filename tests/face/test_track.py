"""A track's points go with flow, and are drawn towards what the detector sees, as much as that can be trusted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from morphstream.face.flow import Motion, affine_of
from morphstream.face.geometry import transform, turned
from morphstream.face.track import (
    Track,
    Tracking,
    begun,
    carried,
    checked,
    coasting,
    match,
    moved_on,
    recognised,
    settled,
)
from morphstream.face.types import Face
from tests.face import ASTRONAUT, identity_of

EYES = float(np.hypot(*(ASTRONAUT.points5[1] - ASTRONAUT.points5[0])))
PATCH = np.zeros((128, 128), np.uint8)


def track(face: Face = ASTRONAUT, **others: Any) -> Track:
    return replace(begun(1, face, PATCH, 0.0), **({"looks": 5, "doubt": 0.0} | others))


def shifted(face: Face, x: float, y: float = 0) -> Face:
    by = np.array([x, y])
    return replace(face, box_xyxy=face.box_xyxy + np.tile(by, 2), points5=face.points5 + by)


def motion_to(face: Face, share: float = 1.0) -> Motion:
    return Motion(affine_of(face.points5), share)


def test_a_face_is_carried_by_flow_with_its_box_and_all_points() -> None:
    onward = turned(20, 1.5, (200, 120), (300.0, 200.0))
    old = replace(ASTRONAUT, points68=np.tile(ASTRONAUT.points5, (14, 1))[:68])
    new = affine_of(transform(old.points5, onward))
    face = carried(old, affine_of(old.points5), new)
    assert face.points68 is not None
    np.testing.assert_allclose(face.points5, transform(old.points5, onward), atol=1e-6)
    np.testing.assert_allclose(face.points68[:5], face.points5, atol=1e-6)
    assert face.area == pytest.approx(1.5**2 * old.area)


def test_the_more_a_face_moves_or_is_covered_the_sooner_a_look_is_due() -> None:
    def doubts(x: float, share: float) -> float:
        return moved_on(track(), motion_to(shifted(ASTRONAUT, x), share), None).doubt

    assert doubts(0, 1) < doubts(0.3 * EYES, 1) < doubts(EYES, 1)
    assert doubts(0, 1) < doubts(0, 0.5)
    assert 1 / doubts(0, 1) == pytest.approx(16)
    assert moved_on(track(), motion_to(shifted(ASTRONAUT, EYES), 0.5), 4).doubt == 0.25
    assert moved_on(track(), None, None).doubt == 1


def test_a_face_that_flow_lost_stays_and_is_expected_to_go_on_as_it_moved() -> None:
    moving = moved_on(track(), motion_to(shifted(ASTRONAUT, 3, 1)), None)
    np.testing.assert_allclose(moving.velocity, [3, 1])
    lost = moved_on(moving, None, None)
    assert lost.share == 0
    np.testing.assert_array_equal(lost.face.points5, moving.face.points5)
    np.testing.assert_allclose(coasting(lost).face.points5, shifted(moving.face, 3, 1).points5)
    covered = moved_on(moving, motion_to(shifted(ASTRONAUT, 30), 0.2), None)
    np.testing.assert_allclose(covered.velocity, [3, 1])


def test_points_are_drawn_towards_those_seen_more_slowly_the_smoother() -> None:
    seen = shifted(ASTRONAUT, 0.02 * EYES)

    def part(smooth: float, **others: Any) -> float:
        moved = settled(track(**others), seen, 0.4, smooth).face.points5 - ASTRONAUT.points5
        return float(moved[0, 0]) / (0.02 * EYES)

    assert part(0) == pytest.approx(1)
    assert 1 > part(0.2) > part(0.5) > part(0.9) > 0
    assert part(0.5, looks=0) == pytest.approx(1)
    assert part(0.5, looks=1) == pytest.approx(0.5, abs=0.1)
    assert part(0.5, share=0.4) < 0.3 * part(0.5)
    assert part(0.5, share=0) == pytest.approx(1)


def test_what_differs_much_and_for_long_is_followed_at_once() -> None:
    little, much = (shifted(ASTRONAUT, part * EYES) for part in (0.01, 0.3))
    gains = []
    for seen in (little, much):
        moved = settled(track(), seen, 0.4, 0.5).face.points5 - ASTRONAUT.points5
        gains.append(moved[0, 0] / (seen.points5 - ASTRONAUT.points5)[0, 0])
    assert gains[0] < 0.35
    assert gains[1] > 0.8


def test_flow_is_not_believed_where_the_detector_sees_the_face_elsewhere() -> None:
    assert checked(track(), shifted(ASTRONAUT, 0.3 * EYES)).share == 1
    assert checked(track(), shifted(ASTRONAUT, 0.4 * EYES)).share == 0
    assert checked(track(looks=0), shifted(ASTRONAUT, 0.4 * EYES)).share == 1  # a first, coarse look


def test_noise_of_the_detector_is_smoothed() -> None:
    random, still = np.random.default_rng(0), track(looks=0)
    errors = []
    for look in range(1, 41):
        noisy = replace(ASTRONAUT, points5=ASTRONAUT.points5 + random.normal(0, 1, (5, 2)))
        still = replace(settled(still, noisy, 0.4 * look, 0.5), share=1.0)
        errors.append(still.face.points5 - ASTRONAUT.points5)
    assert np.std(errors[10:]) < 0.65


def test_faces_are_matched_with_the_nearest_tracks_of_their_size() -> None:
    side = ASTRONAUT.area**0.5
    left, right = ASTRONAUT, shifted(ASTRONAUT, 2 * side)
    assert match([left, right], [shifted(right, 5), shifted(left, 5)]) == {0: 1, 1: 0}
    assert match([left, shifted(left, 0.3 * side)], [shifted(left, 0.25 * side)]) == {1: 0}
    assert match([left], [shifted(left, 0.6 * side)]) == {}
    small = replace(left, box_xyxy=np.array([220.0, 110, 240, 130]))
    assert match([left], [small]) == {}
    assert match([], [left]) == match([left], []) == {}


def test_an_identity_is_the_mean_of_what_was_seen_and_one_odd_look_changes_little() -> None:
    alice, near, bob = identity_of([1]), identity_of([1, 0.5]), identity_of([0, 0, 1])
    once = recognised(track(), alice)
    assert once.identity == alice
    assert recognised(once, bob).identity == bob  # the first was partly covered
    for _ in range(6):
        once = recognised(once, near)
    assert once.identity is not None
    assert once.identity.similarity(near) > 0.99
    odd = recognised(once, bob).identity
    assert odd is not None
    assert odd.similarity(near) > 0.9


@pytest.mark.parametrize("wrong", [{"detect_every": 0}, {"smooth": -0.1}, {"smooth": 1.1}, {"smooth": float("nan")}])
def test_a_tracking_that_there_is_not_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^tracking: expected to "):
        Tracking(**wrong)
