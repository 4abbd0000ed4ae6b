"""68 points lie where the face's features are, and where the landmarker is unsure, those of the five points do."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from morphstream.face.geometry import FFHQ_512, align, cut_crop, transform
from morphstream.face.landmark import DirectFan685, Landmark68Detector, points5_of
from morphstream.face.types import Face, Points
from morphstream.frame import Frame
from morphstream.session.session import Array, Session
from stages.kit.mean_face import points68
from tests.face import ASTRONAUT, PlayedSession, noise

GRID = np.stack(np.meshgrid(np.arange(17.0), np.arange(4.0)), axis=-1).reshape(68, 2)  # of 64 cells


def fan(points: Points | None = None) -> tuple[DirectFan685, PlayedSession]:
    rows = points68() if points is None else points
    session = PlayedSession(
        {"input": (-1, 5, 2)}, lambda inputs: {"points68": np.stack([rows] * len(inputs["input"])).astype(np.float32)}
    )
    return DirectFan685(session), session


def landmarker(*scores: float) -> tuple[Landmark68Detector, PlayedSession, PlayedSession]:
    """Return a landmarker that sees `GRID` in every crop, each time as surely as is said."""

    def answer(_: object) -> dict[str, Array]:
        return {
            "points68": np.stack([np.column_stack([GRID, np.full(68, score)]) for score in scores], dtype=np.float32)
        }

    session = PlayedSession({"crop": (-1, 256, 256, 3)}, answer)
    fallback, asked = fan()
    return Landmark68Detector(session, fallback), session, asked


def boxed(left: float, top: float, right: float, bottom: float) -> Face:
    return Face(box_xyxy=np.array([left, top, right, bottom]), points5=ASTRONAUT.points5, score=1)


def test_fan_is_given_fractions_of_the_ffhq_crop_and_its_points_are_mapped_back() -> None:
    points5 = FFHQ_512 * 100 + (30, 40)
    located, session = fan()
    (found,) = located.locate(points5[None])
    np.testing.assert_allclose(session.given[0]["input"][0], FFHQ_512, atol=1e-6)
    np.testing.assert_allclose(found, points68() * 100 + (30, 40), atol=1e-4)


def test_fan_adds_68_points_and_leaves_the_five() -> None:
    (face,) = fan()[0].refine([ASTRONAUT])
    assert face.points68 is not None
    np.testing.assert_array_equal(face.points5, ASTRONAUT.points5)
    expected = transform(points68(), np.linalg.inv(np.vstack([align(ASTRONAUT.points5, FFHQ_512, 1), [0, 0, 1]]))[:2])
    np.testing.assert_allclose(face.points68, expected, atol=1e-3)


def test_a_box_is_195_pixels_in_the_middle_of_2dfan4s_crop() -> None:
    (found,), (score,) = landmarker(0.9)[0].locate(noise(400, 400), [boxed(100, 50, 200, 245)])
    np.testing.assert_allclose(found, GRID * 4 + (150 - 128, 147.5 - 128), atol=1e-9)  # at scale 1
    assert score == pytest.approx(0.9)
    (found,), _ = landmarker(0.9)[0].locate(noise(400, 400), [boxed(0, 0, 390, 10)])
    np.testing.assert_allclose(found, (GRID * 4 - 128) * 2 + (195, 5), atol=1e-9)


def test_where_it_is_unsure_the_points_of_fan_are_taken_and_the_five_stay() -> None:
    both, session, asked = landmarker(0.9, 0.5, 0.51)
    faces = [boxed(0, 0, 195, 195), boxed(10, 0, 195, 195), boxed(0, 10, 195, 195)]
    first, second, third = both.refine(noise(200, 200), faces)
    assert len(session.given) == len(asked.given) == 1
    assert asked.given[0]["input"].shape == (1, 5, 2)
    np.testing.assert_array_equal(second.points5, ASTRONAUT.points5)
    np.testing.assert_array_equal(second.points68, fan()[0].locate(ASTRONAUT.points5[None])[0])
    for face in (first, third):
        assert face.points68 is not None
        np.testing.assert_array_equal(face.points5, points5_of(face.points68))


def test_five_points_are_made_of_68() -> None:
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[30], points[48], points[54] = (1, 2), (3, 4), (5, 6), (7, 8), (9, 10)
    np.testing.assert_array_equal(points5_of(points), [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]])


def test_no_faces_ask_no_model() -> None:
    both, session, asked = landmarker()
    assert both.refine(noise(9, 9), []) == []
    assert not session.given
    assert not asked.given


@pytest.mark.parametrize(("level", "is_lighter"), [(8, True), (90, False)])
def test_a_dark_crop_is_equalised_and_another_is_not(level: int, *, is_lighter: bool) -> None:
    frame = (noise(300, 300) // 32 + level).astype(np.uint8)
    both, session, _ = landmarker(0.9)
    both.locate(frame, [boxed(50, 50, 245, 245)])
    crop = cut_crop(frame, np.array([[1, 0, 128 - 147.5], [0, 1, 128 - 147.5]]), 256)
    given = session.given[0]["crop"][0]
    assert (given.mean() > crop.mean() + 1) == is_lighter
    assert np.array_equal(given, crop) != is_lighter


def test_the_astronauts_features_are_found(open_kit: Callable[[str], Session], astronaut: Frame) -> None:
    fan_685 = DirectFan685(open_kit("fan_68_5"))
    (face,) = Landmark68Detector(open_kit("2dfan4"), fan_685).refine(astronaut, [ASTRONAUT])
    (by_five,) = fan_685.refine([ASTRONAUT])
    assert face.points68 is not None
    assert by_five.points68 is not None
    size = np.ptp(ASTRONAUT.points5[:, 0])
    assert np.abs(face.points68 - by_five.points68).mean() < 0.15 * size
    assert np.abs(face.points5 - ASTRONAUT.points5).max() < 0.25 * size


def test_the_points_of_a_face_on_its_head_are_those_of_the_upright_one(
    open_kit: Callable[[str], Session], astronaut: Frame
) -> None:
    detector = Landmark68Detector(open_kit("2dfan4"), DirectFan685(open_kit("fan_68_5")))
    left, top, right, bottom = ASTRONAUT.box_xyxy
    box = np.array([511 - right, 511 - bottom, 511 - left, 511 - top])
    (expected,), _ = detector.locate(astronaut, [ASTRONAUT])
    face = replace(ASTRONAUT, box_xyxy=box, points5=511 - ASTRONAUT.points5)
    (points,), _ = detector.locate(astronaut[::-1, ::-1], [face])
    assert np.abs(511 - points - expected).max() < 4
