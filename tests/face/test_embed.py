"""An identity is one direction whatever the light and size of the photo, and strangers are far apart."""

import numpy as np
import pytest

from morphstream.artifact.errors import SessionError
from morphstream.face.detect import DirectSCRFD
from morphstream.face.embed import SIDE, DirectArcFace
from morphstream.face.geometry import ARCFACE_112_V2, align, cut_crop
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame
from tests.face import ASTRONAUT, PlayedSession, enlarged, identity_of


def player(embedding: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> PlayedSession:
    return PlayedSession({"crop": (-1, SIDE, SIDE, 3)}, lambda _: {"embedding": embedding})


def test_the_session_is_given_the_aligned_crop(astronaut: Frame) -> None:
    session = player(np.ones((1, 512), np.float32))
    DirectArcFace(session).embed(astronaut, [ASTRONAUT])
    (given,) = session.given
    crop = cut_crop(astronaut, align(ASTRONAUT.points5, ARCFACE_112_V2, 112), 112)
    np.testing.assert_array_equal(given["crop"], crop[None])


def test_an_identity_has_length_1_and_is_its_own(astronaut: Frame) -> None:
    raw = np.arange(512, dtype=np.float32)[None]
    (identity,) = DirectArcFace(player(raw)).embed(astronaut, [ASTRONAUT])
    assert identity.embedding.dtype == np.float32
    np.testing.assert_allclose(identity.embedding, np.arange(512) / np.linalg.norm(np.arange(512)), rtol=1e-6)
    raw.fill(0)  # the session's next run
    assert identity.similarity(identity) == pytest.approx(1)


def test_several_faces_are_one_call_in_their_order(astronaut: Frame, group: Frame, group_faces: list[Face]) -> None:
    rows = np.eye(3, 512, dtype=np.float32)
    embedder = DirectArcFace(session := player(rows))
    identities = embedder.embed(group, group_faces[:3])
    np.testing.assert_array_equal([identity.embedding for identity in identities], rows)
    (given,) = session.given
    for crop, face in zip(given["crop"], group_faces, strict=False):
        np.testing.assert_array_equal(crop, cut_crop(group, align(face.points5, ARCFACE_112_V2, 112), 112))
    assert embedder.embed(astronaut, []) == []
    assert len(session.given) == 1


def test_an_embedder_that_sees_nothing_is_refused(astronaut: Frame) -> None:
    with pytest.raises(SessionError, match="expected"):
        DirectArcFace(player(np.zeros((1, 512), np.float32))).embed(astronaut, [ASTRONAUT])


def test_one_person_in_another_light_and_size_is_the_same(
    embedder: DirectArcFace, detector: DirectSCRFD, astronaut: Frame
) -> None:
    (identity,) = embedder.embed(astronaut, [ASTRONAUT])
    darker = (astronaut * 0.7).astype(np.uint8)
    for frame in (darker, enlarged(astronaut, 1.7), enlarged(astronaut, 0.6), astronaut):
        (same,) = embedder.embed(frame, detector.detect(frame))
        assert same.similarity(identity) > 0.9


def test_strangers_are_far_apart(
    embedder: DirectArcFace, astronaut: Frame, group: Frame, group_faces: list[Face]
) -> None:
    (identity,) = embedder.embed(astronaut, [ASTRONAUT])
    similarities = [other.similarity(identity) for other in embedder.embed(group, group_faces)]
    assert abs(np.mean(similarities)) < 0.1
    assert max(similarities) < 0.4


@pytest.mark.parametrize(
    "embedding",
    [
        pytest.param(np.ones(511, np.float32), id="too few"),
        pytest.param(np.ones((1, 512), np.float32), id="a batch"),
        pytest.param(np.full(512, np.nan, np.float32), id="no numbers"),
        pytest.param(np.full(512, np.inf, np.float32), id="infinite"),
    ],
)
def test_what_is_no_embedding_is_refused(embedding: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    with pytest.raises(ValueError, match="expected 512 finite numbers"):
        Identity(embedding=embedding)


def test_similarity_is_the_cosine() -> None:
    first, second = identity_of([1, 0]), identity_of([3, 4])
    assert first.similarity(second) == second.similarity(first) == pytest.approx(0.6)
    assert first.similarity(identity_of([-1])) == pytest.approx(-1)
