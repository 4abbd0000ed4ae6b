"""People are found where YOLOv8 says, one box each, in the frame's own pixels."""

from collections.abc import Callable

import numpy as np
import pytest

from morphstream.face.person import PersonDetector
from morphstream.frame import Frame
from morphstream.session.session import Array, Session
from tests.face import ASTRONAUT, PlayedSession, noise

SIDE = 64


def player(*rows: tuple[float, float, float, float, float, float]) -> PlayedSession:
    """Return a session that sees boxes: centre, size, score of a person and of a bicycle."""
    persons = np.zeros((1, 84, max(len(rows), 1)), np.float32)
    for place, row in enumerate(rows):
        persons[0, :6, place] = row
    answer: dict[str, Array] = {"persons": persons}
    return PlayedSession({"frame": (-1, SIDE, SIDE, 3)}, lambda _: answer)


def test_a_frame_lies_in_the_middle_of_the_canvas_on_grey() -> None:
    session = player()
    frame = noise(16, 32)
    assert PersonDetector(session).detect(frame) == []
    (canvas,) = session.given[0]["frame"]
    assert np.all(canvas[:16] == 114)
    assert np.all(canvas[48:] == 114)
    assert np.abs(canvas[16:48:2, ::2].astype(int) - frame).mean() < 60  # twice its size
    assert canvas[16:48].std() > 20


def test_boxes_are_given_in_the_frames_pixels_inside_it_the_surest_first() -> None:
    found = PersonDetector(player((32, 32, 20, 10, 0.6, 0), (2, 20, 20, 8, 0.9, 0))).detect(noise(128, 256))
    np.testing.assert_allclose(found[0].box_xyxy, [0, 0, 48, 32])
    np.testing.assert_allclose(found[1].box_xyxy, [88, 44, 168, 84])
    assert [round(person.score, 3) for person in found] == [0.9, 0.6]


def test_one_person_has_one_box_and_what_is_surer_another_thing_is_nobody() -> None:
    rows = [(30, 30, 20, 20, 0.8, 0), (31, 30, 20, 20, 0.9, 0), (30, 45, 20, 20, 0.7, 0), (10, 10, 9, 9, 0.5, 0.6)]
    found = PersonDetector(player(*rows)).detect(noise(SIDE, SIDE))
    assert [round(person.score, 3) for person in found] == [0.9, 0.7]


@pytest.mark.parametrize(("threshold", "count"), [(0.25, 1), (0.5, 0)])
def test_a_person_is_surer_than_the_threshold(threshold: float, count: int) -> None:
    assert len(PersonDetector(player((30, 30, 9, 9, 0.5, 0)), threshold=threshold).detect(noise(9, 9))) == count


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (63, 65)])
def test_a_frame_may_have_any_size(shape: tuple[int, int]) -> None:
    for person in PersonDetector(player((32, 32, 64, 64, 0.9, 0))).detect(noise(*shape)):
        np.testing.assert_allclose(person.box_xyxy, [0, 0, shape[1], shape[0]], atol=1)


def test_a_grey_frame_is_refused(astronaut: Frame) -> None:
    with pytest.raises(ValueError, match="expected a BGR frame"):
        PersonDetector(player()).detect(astronaut[..., 0])


def test_the_astronaut_is_a_person_around_her_face(open_kit: Callable[[str], Session], astronaut: Frame) -> None:
    (person, *_) = PersonDetector(open_kit("yolov8n")).detect(astronaut)
    (left, top, right, bottom), face = person.box_xyxy, ASTRONAUT.points5.mean(0)
    assert left < face[0] < right
    assert top < face[1] < bottom
