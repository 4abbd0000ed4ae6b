"""Faces are found where people have them: close, turned, small; and a first look that is enough stays alone."""

import re
from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from morphstream.face.analyser import FaceAnalyser
from morphstream.face.detect import DirectSCRFD
from morphstream.face.geometry import transform
from morphstream.face.look import Look
from morphstream.face.search import find_faces, find_near
from morphstream.face.types import Person, Points
from morphstream.frame import Frame
from morphstream.session.session import Array
from tests.face import ASTRONAUT, CANVAS, Detection, PlayedSession, noise, scrfd_outputs

LOOK = Look()
EYES = float(np.hypot(*(ASTRONAUT.points5[1] - ASTRONAUT.points5[0])))


def turned(frame: Frame, angle: float) -> tuple[Frame, npt.NDArray[np.float64]]:
    """Return a frame turned around its middle, all of it, and the affine that did it."""
    height, width = frame.shape[:2]
    affine = np.array(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1), np.float64)
    extent = np.abs(affine[:, :2]) @ [width, height]
    affine[:, 2] += (extent - [width, height]) / 2
    size = (round(extent[0]), round(extent[1]))
    return np.asarray(cv2.warpAffine(frame, affine, size), np.uint8), affine


def error(detector: DirectSCRFD, frame: Frame, points5: Points, eyes: float = EYES) -> float:
    """Return how far the points of a frame's only face are off, in distances of the eyes."""
    (face,) = find_faces(detector, frame, LOOK).faces
    return float(np.linalg.norm(face.points5 - points5, axis=1).max() / eyes)


@pytest.fixture(scope="module")
def upright(detector: DirectSCRFD, astronaut: Frame) -> Points:
    """The points of the astronaut."""
    return detector.detect(astronaut)[0].points5


def test_the_first_look_is_alone_where_it_is_enough(detector: DirectSCRFD, astronaut: Frame, group: Frame) -> None:
    for frame in (astronaut, group, np.ascontiguousarray(astronaut[:, ::-1]), turned(astronaut, 12)[0]):
        finding, first = find_faces(detector, frame, LOOK), detector.detect(frame)
        assert finding.looks == 1
        for face, expected in zip(finding.faces, first, strict=True):
            np.testing.assert_array_equal(face.points5, expected.points5)
            np.testing.assert_array_equal(face.box_xyxy, expected.box_xyxy)


def test_a_small_upright_face_may_have_a_low_score_without_another_look(detector: DirectSCRFD, group: Frame) -> None:
    finding = find_faces(detector, group[763:1331, 1511:2245], LOOK)
    assert finding.looks == 1
    assert finding.faces[-1].score < 0.7


@pytest.mark.parametrize("angle", [90, 180, 225])
def test_a_turned_face_is_found_where_it_is(
    detector: DirectSCRFD, astronaut: Frame, upright: Points, angle: int
) -> None:
    frame, affine = turned(astronaut, angle)
    assert error(detector, frame, transform(upright, affine)) < 0.05


def test_the_box_of_a_turned_face_is_around_it(detector: DirectSCRFD, astronaut: Frame) -> None:
    left, top, right, bottom = ASTRONAUT.box_xyxy
    (face,) = find_faces(detector, np.rot90(astronaut), LOOK).faces  # counter-clockwise
    np.testing.assert_allclose(face.box_xyxy, [top, 511 - right, bottom, 511 - left], atol=12)


@pytest.mark.parametrize(("margin", "times"), [(0, 1), (0.1, 6)])
def test_a_portrait_that_is_cropped_to_the_face_has_a_face(
    detector: DirectSCRFD, astronaut: Frame, upright: Points, margin: float, times: int
) -> None:
    box = ASTRONAUT.box_xyxy
    size = (box[2:] - box[:2])[[0, 1]]
    left, top, right, bottom = (*(box[:2] - margin * size).astype(int), *(box[2:] + margin * size).astype(int))
    close = cv2.resize(astronaut[top:bottom, left:right], None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    points = (upright - [left, top] + 0.5) * times - 0.5
    assert error(detector, np.asarray(close, np.uint8), points, EYES * times) < 0.06


@pytest.mark.parametrize("side", [128, 160, 192])
def test_a_small_picture_is_looked_at_again_for_the_points(
    detector: DirectSCRFD, astronaut: Frame, upright: Points, side: int
) -> None:
    small = np.asarray(cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    scale = side / 512
    assert error(detector, small, (upright + 0.5) * scale - 0.5, EYES * scale) < 0.05
    assert find_faces(detector, small, LOOK).looks == 2


def test_a_face_in_a_narrow_picture_is_found(detector: DirectSCRFD, astronaut: Frame, upright: Points) -> None:
    frame = np.full((6000, 512, 3), 127, np.uint8)
    frame[2700 : 2700 + 512] = astronaut
    (face,) = find_faces(detector, frame, Look(angles=(0,))).faces
    assert np.linalg.norm(face.points5 - upright - (0, 2700), axis=1).max() < 0.05 * EYES


@pytest.mark.parametrize("side", [100, 150], ids=["seen by no first look", "of which a first look sees some"])
def test_a_crowd_in_a_large_picture_is_found(detector: DirectSCRFD, astronaut: Frame, side: int) -> None:
    frame = np.tile(cv2.resize(astronaut[:400, 56:456], (side, side), interpolation=cv2.INTER_AREA), (4, 16, 1))
    assert len(find_faces(detector, np.asarray(frame, np.uint8), Look(angles=(0,))).faces) == 64


def test_a_group_on_its_side_is_found_though_few_of_it_are_at_first(detector: DirectSCRFD, group: Frame) -> None:
    frame, affine = turned(group, 30)
    first, finding = detector.detect(frame), find_faces(detector, frame, LOOK)
    assert len(first) < 20
    assert len(finding.faces) >= 28
    middles = [transform(face.points5.mean(0), affine) for face in detector.detect(group)]
    found = [face.points5.mean(0) for face in finding.faces]
    assert sum(min(np.hypot(*(one - middle)) for one in found) < 12 for middle in middles) >= 28


def test_the_first_look_alone_is_a_choice(detector: DirectSCRFD, astronaut: Frame) -> None:
    frame = np.ascontiguousarray(astronaut[::-1, ::-1])
    finding = find_faces(detector, frame, Look(angles=()))
    assert (list(finding.faces), finding.looks) == ([], 1)
    assert "look again" in finding.reason(frame, Look(angles=()))


def test_a_larger_detector_size_finds_small_faces_beside_a_large_one(detector: DirectSCRFD, astronaut: Frame) -> None:
    frame = np.full((1280, 1280, 3), 127, np.uint8)
    frame[:512, :512] = astronaut
    frame[1200:1260, 1200:1260] = cv2.resize(astronaut, (60, 60), interpolation=cv2.INTER_AREA)
    assert [len(find_faces(detector, frame, Look(detector_size=size)).faces) for size in (None, 1280)] == [1, 2]


def test_a_smaller_detector_size_finds_large_faces_at_the_first_look(detector: DirectSCRFD, astronaut: Frame) -> None:
    close = np.ascontiguousarray(astronaut[43:190, 171:279])
    finding = find_faces(detector, close, Look(detector_size=320, angles=()))
    assert (len(finding.faces), finding.looks) == (1, 1)


def played(*detections: Detection) -> PlayedSession:
    """Return a detector that sees the same in every view."""
    return PlayedSession({"frame": (1, CANVAS, CANVAS, 3)}, lambda _: scrfd_outputs(*detections))


@pytest.mark.parametrize(
    ("frame", "look", "detections", "expected"),
    [
        pytest.param(np.full((90, 99, 3), 7, np.uint8), LOOK, [], "seen one colour everywhere; use", id="one colour"),
        pytest.param(noise(20, 30), LOOK, [], "seen 30 x 20 pixels; use a picture in which", id="few pixels"),
        pytest.param(noise(50, 50), Look(angles=()), [], "seen none in one look; look again", id="one look"),
        pytest.param(noise(50, 50), LOOK, [], "seen none in 24 looks; use a picture that shows one", id="nothing"),
        pytest.param(
            noise(50, 50), LOOK, [(8, 18, 0.43, [1.0, 1, 1, 1])], "a place with a score of 0.43; .* 0.40$", id="faint"
        ),
    ],
)
def test_advice_fits_the_cause(frame: Frame, look: Look, detections: list[Detection], expected: str) -> None:
    analyser = FaceAnalyser({"det_10g": played(*detections), "w600k_r50": PlayedSession({}, dict)}.__getitem__)
    found = analyser.find(frame, look)
    assert list(found.faces) == []
    assert re.search(expected, found.reason)


def test_a_frame_of_one_colour_is_looked_at_once() -> None:
    session = played()
    assert find_faces(DirectSCRFD(session), np.zeros((200, 300, 3), np.uint8), LOOK).looks == len(session.given) == 1


def answering(*answers: Mapping[str, Array]) -> tuple[DirectSCRFD, PlayedSession]:
    """Return a detector that answers in turn, and sees nothing after that."""
    left = iter(answers)
    session = PlayedSession({"frame": (1, CANVAS, CANVAS, 3)}, lambda _: next(left, scrfd_outputs()))
    return DirectSCRFD(session), session


def test_a_face_that_only_the_first_look_finds_is_kept() -> None:
    detector, session = answering(scrfd_outputs((8, 18, 0.55, [1.0, 1, 1, 1])))
    finding = find_faces(detector, noise(CANVAS, CANVAS), LOOK)
    assert [round(face.score, 2) for face in finding.faces] == [0.55]
    assert finding.looks == len(session.given) > 24


def test_a_face_that_only_another_look_finds_is_none() -> None:
    detector, _ = answering(scrfd_outputs(), scrfd_outputs((8, 18, 0.9, [1.0, 1, 1, 1])))
    assert list(find_faces(detector, noise(CANVAS, CANVAS), LOOK).faces) == []


def test_five_points_that_are_one_are_looked_at_again() -> None:
    outputs = scrfd_outputs((8, 18, 0.9, [1.0, 1, 1, 1]))
    outputs["anchors"][..., 5:] = 0
    detector, _ = answering(outputs)
    finding = find_faces(detector, noise(CANVAS, CANVAS), LOOK)
    assert len(finding.faces) == 1
    assert finding.looks > 1


def far_people(astronaut: Frame) -> tuple[Frame, list[Person], list[Points]]:
    """Return a large frame with two far people, their boxes, and the points of their faces."""
    frame, persons, points = np.full((1080, 1920, 3), 120, np.uint8), [], []
    small = cv2.resize(astronaut, (64, 64), interpolation=cv2.INTER_AREA)
    for left, top in ((300, 200), (1500, 800)):
        frame[top : top + 64, left : left + 64] = small
        persons.append(Person(box_xyxy=np.array([left + 5, top + 2, left + 60, top + 64.0]), score=0.9))
        points.append((ASTRONAUT.points5 + 0.5) / 8 - 0.5 + [left, top])
    return frame, persons, points


def test_far_faces_are_found_inside_people_in_one_look_more(detector: DirectSCRFD, astronaut: Frame) -> None:
    frame, persons, points = far_people(astronaut)
    one_look = Look(angles=())
    assert not find_faces(detector, frame, one_look).faces
    finding = find_faces(detector, frame, one_look, persons=lambda _: persons)
    assert finding.looks == 2
    for face, expected in zip(sorted(finding.faces, key=lambda face: face.box_xyxy[0]), points, strict=True):
        assert np.linalg.norm(face.points5 - expected, axis=1).max() < 0.2 * EYES / 8


def test_people_whose_faces_are_known_or_as_large_at_the_first_look_are_not_looked_at(
    detector: DirectSCRFD, astronaut: Frame
) -> None:
    whole = Person(box_xyxy=np.array([0, 0, 511, 511.0]), score=0.9)
    shown_as_large = Person(box_xyxy=np.array([0, 0, 300, 511.0]), score=0.5)
    finding = find_faces(detector, astronaut, Look(angles=()), persons=lambda _: [whole, shown_as_large])
    assert (len(finding.faces), finding.looks) == (1, 1)


def test_a_face_beside_a_persons_head_is_another_persons(detector: DirectSCRFD, astronaut: Frame) -> None:
    frame, (person, other), _ = far_people(astronaut)
    frame[240:496, 300:556] = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    wide = Person(box_xyxy=person.box_xyxy + np.array([-60, 0, 60, 300.0]), score=0.8)
    (known,) = find_faces(detector, frame, Look(angles=())).faces
    assert wide.box_xyxy[0] < known.box_xyxy[0] < wide.box_xyxy[2]
    assert len(find_faces(detector, frame, Look(angles=()), persons=lambda _: [wide, other]).faces) == 3


def test_people_are_searched_where_the_look_says_so() -> None:
    people = PlayedSession({"frame": (1, CANVAS, CANVAS, 3)}, lambda _: {"persons": np.zeros((1, 84, 1), np.float32)})
    models = {"det_10g": played(), "w600k_r50": PlayedSession({}, dict), "yolov8n": people}
    analyser, frame = FaceAnalyser(models.__getitem__), noise(CANVAS, CANVAS)
    analyser.find(frame, Look(angles=()))
    assert not people.given
    analyser.find(frame, Look(angles=(), search="persons"))
    assert len(people.given) == 1


@pytest.mark.parametrize("angle", [0, 45, 170])
def test_a_face_is_looked_at_near_and_upright_where_it_is_about(
    detector: DirectSCRFD, astronaut: Frame, upright: Points, angle: float
) -> None:
    frame, affine = turned(astronaut, angle)
    points5 = transform(upright, affine)
    middle = points5.mean(0)
    about = replace(ASTRONAUT, box_xyxy=np.concatenate([middle - 50, middle + 50]), points5=points5 + 8)
    elsewhere = replace(about, box_xyxy=np.array([0.0, 0, 60, 60]), points5=points5 - middle + 30)
    face, nobody = find_near(detector, frame, [about, elsewhere], 0.5)
    assert nobody is None
    assert face is not None
    assert np.linalg.norm(face.points5 - points5, axis=1).max() < 0.05 * EYES


def test_a_rectangle_is_looked_at_once(detector: DirectSCRFD, group: Frame) -> None:
    finding = find_faces(detector, group, LOOK, within=(1800, 1000, 2500, 1400))
    assert finding.looks == 1
    middles = np.array([(face.box_xyxy[:2] + face.box_xyxy[2:]) / 2 for face in finding.faces])
    assert len(middles) >= 4
    assert (middles > [1800, 1200 - 350]).all()  # a square around it fits the canvas
    assert (middles < [2500, 1200 + 350]).all()
    assert find_faces(detector, group, LOOK, within=(0, 0, 300, 300)).faces == []
