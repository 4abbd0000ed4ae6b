"""Values that pass between steps check themselves, and identities compare by their numbers."""

import numpy as np
import pytest

from morphstream.face.types import FoundFaces, Identity
from tests.face import ASTRONAUT, identity_of, noise


def test_identities_with_the_same_numbers_are_one() -> None:
    first, again, other = identity_of([1, 2]), identity_of([1, 2]), identity_of([2, 1])
    assert first == again != other
    assert {first: "one", other: "other"}[again] == "one"
    assert first != "another kind of value"


def test_an_identity_is_a_copy_that_nothing_changes() -> None:
    numbers = np.eye(1, 512, dtype=np.float32)[0]
    identity = Identity(embedding=numbers)
    before = hash(identity)
    numbers.fill(0)
    assert hash(identity) == before == hash(identity_of([1]))
    with pytest.raises(ValueError, match="read-only"):
        identity.embedding.fill(0)


def test_an_assignment_of_a_face_that_is_not_there_is_refused() -> None:
    for index in (1, -1):
        with pytest.raises(ValueError, match=rf"^assignment: expected indices of 1 faces, seen \[{index}\]$"):
            FoundFaces(frame=noise(9, 9), faces=[ASTRONAUT], assignment={0: identity_of([1]), index: identity_of([1])})


def test_tracks_are_one_for_each_face_or_none() -> None:
    for tracks in ([], [7]):
        assert FoundFaces(frame=noise(9, 9), faces=[ASTRONAUT], assignment={}, tracks=tracks).tracks == tracks
    with pytest.raises(ValueError, match=r"^tracks: expected one for each of 1 faces, seen 2$"):
        FoundFaces(frame=noise(9, 9), faces=[ASTRONAUT], assignment={}, tracks=[1, 2])


def test_found_faces_of_what_is_no_frame_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a BGR frame"):
        FoundFaces(frame=noise(9, 9)[..., 0], faces=[], assignment={})


def test_a_mean_of_identities_has_length_1_and_of_one_is_that_itself() -> None:
    first, second = identity_of([1, 0]), identity_of([0, 1])
    assert Identity.mean_of([first]) is first
    np.testing.assert_allclose(Identity.mean_of([first, second]).embedding, identity_of([1, 1]).embedding)
    assert Identity.mean_of([first, first, second]).similarity(first) == pytest.approx(2 / 5**0.5)
    for identities in ([], [first, identity_of([-1, 0])]):
        with pytest.raises(ValueError, match=f"expected identities of one person, seen {len(identities)} without"):
            Identity.mean_of(identities)
