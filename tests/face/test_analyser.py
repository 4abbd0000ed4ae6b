"""Faces of a frame are found, identified and assigned, and nothing that is returned changes with the next frame."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from morphstream.artifact.errors import NoFaceError
from morphstream.face.analyser import FaceAnalyser
from morphstream.face.assign import Wanted, largest, like
from morphstream.face.look import LandmarkerName, Look
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame
from morphstream.pipeline import SwapPipeline
from morphstream.session.session import Array, Session
from tests.face import ASTRONAUT, CANVAS, PlayedSession, identity_of, noise, scrfd_outputs

ONE_LOOK = Look(angles=())
SMALL, LARGE = (8, 18, 0.9, [1.0, 1, 1, 1]), (16, 20, 0.6, [1.0, 1, 1, 1])


def rows_of(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """Embed each crop in a direction of its own."""
    return {"embedding": np.eye(len(inputs["crop"]), 512, dtype=np.float32)}


def two_faces(embedder: PlayedSession) -> FaceAnalyser:
    """Return an analyser that finds two faces, the smaller one surer, in every frame."""
    finder = PlayedSession({"frame": (1, CANVAS, CANVAS, 3)}, lambda _: scrfd_outputs(SMALL, LARGE))
    return FaceAnalyser({"det_10g": finder, "w600k_r50": embedder}.__getitem__)


def test_the_largest_face_is_identified_and_not_the_surest() -> None:
    embedder = PlayedSession({}, lambda _: {"embedding": np.ones((1, 512), np.float32)})
    analyser = two_faces(embedder)
    small, large = analyser.detect(frame := noise(CANVAS, CANVAS), ONE_LOOK)
    assert small.area < large.area
    for face in (None, large, small):
        analyser.identify(frame, face, ONE_LOOK)
    by_default, of_large, of_small = (given["crop"] for given in embedder.given)
    np.testing.assert_array_equal(by_default, of_large)
    assert (of_large != of_small).any()


def test_a_picture_without_a_face_identifies_nobody(swap: SwapPipeline) -> None:
    with pytest.raises(NoFaceError, match="expected a face to identify, seen one colour everywhere; use a picture"):
        swap.identify(np.full((200, 300, 3), 90, np.uint8))


@pytest.mark.parametrize("wanted", [identity_of([1]), {0: identity_of([1])}, {identity_of([1]): largest}, {}])
def test_faces_are_embedded_for_references_alone(wanted: Wanted) -> None:
    analyser, frame = two_faces(embedder := PlayedSession({}, rows_of)), noise(CANVAS, CANVAS)
    found = analyser.analyse(frame, wanted, look=ONE_LOOK)
    assert found.frame is frame
    assert len(found.faces) == 2
    assert embedder.given == []
    first, second = identity_of([1]), identity_of([0, 1])
    found = analyser.analyse(frame, {identity_of([2, 2]): like(second), first: like(first)}, faces=found.faces[::-1])
    assert found.assignment == {0: first, 1: identity_of([2, 2])}
    (given,) = embedder.given
    assert len(given["crop"]) == 2


def test_given_faces_are_not_detected(swap: SwapPipeline, source: Identity, astronaut: Frame) -> None:
    for faces in ([], [ASTRONAUT], [ASTRONAUT, ASTRONAUT]):
        found = swap.analyser.analyse(astronaut, source, faces=faces)
        assert list(found.faces) == faces
        assert found.assignment == dict.fromkeys(range(len(faces)), source)


@pytest.mark.parametrize("landmarker", ["fan_68_5", "2dfan4"])
def test_a_landmarker_gives_detected_faces_68_points(
    open_kit: Callable[[str], Session], astronaut: Frame, landmarker: LandmarkerName
) -> None:
    asked: list[str] = []

    def opened(name: str) -> Session:
        asked.append(name)
        return open_kit(name)

    look = Look(landmarker=landmarker)
    (face,) = FaceAnalyser(opened).detect(astronaut, look)
    assert asked == ["det_10g", *look.finding_models]
    assert face.points68 is not None
    assert (np.abs(face.points5 - ASTRONAUT.points5).max() > 1) == (landmarker == "2dfan4")
    analyser = FaceAnalyser(open_kit)
    (plain,), (again,) = analyser.detect(astronaut), analyser.detect(astronaut, look)
    assert plain.points68 is None
    np.testing.assert_array_equal(again.points68, face.points68)


def test_what_is_found_stays_when_the_next_frame_is_looked_at(
    open_kit: Callable[[str], Session], astronaut: Frame
) -> None:
    analyser, look = FaceAnalyser(open_kit), Look(landmarker="2dfan4", angles=())

    def values(faces: Sequence[Face]) -> list[bytes]:
        arrays = [array for face in faces for array in (face.box_xyxy, face.points5, face.points68)]
        return [array.tobytes() for array in arrays if array is not None]

    (face,), identity = analyser.detect(astronaut, look), analyser.identify(astronaut)
    before = [*values([face]), identity.embedding.tobytes()]
    for other in (noise(300, 400), np.ascontiguousarray(astronaut[:, ::-1])):
        analyser.detect(other, look)
        analyser.embed(other, [ASTRONAUT])
    assert [*values([face]), identity.embedding.tobytes()] == before


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        pytest.param(np.zeros((200, 300, 3), np.float32), TypeError, id="floats"),
        pytest.param(np.zeros((200, 300), np.uint8), ValueError, id="grey"),
        pytest.param(np.zeros((200, 300, 4), np.uint8), ValueError, id="with alpha"),
    ],
)
def test_what_is_no_frame_is_refused_whether_faces_are_given_or_not(
    swap: SwapPipeline, source: Identity, frame: Frame, error: type[Exception]
) -> None:
    for faces in (None, [], [ASTRONAUT]):
        with pytest.raises(error, match="expected a"):
            swap(frame, source, faces=faces)
    for face in (None, ASTRONAUT):
        with pytest.raises(error, match="expected a"):
            swap.identify(frame, face)
