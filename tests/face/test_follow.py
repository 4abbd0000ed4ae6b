"""Faces keep their tracks, and who they become, from frame to frame and with few looks; a cut ends them."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bench.clips import CLIPS, clip
from morphstream.face.assign import Wanted, at, largest, like
from morphstream.face.follow import FaceTracker
from morphstream.face.track import Tracking
from morphstream.face.types import FoundFaces
from tests.face import noise
from tests.face.knowing import ALICE, BOB, CAROL, PEOPLE, SIZE, Knowing, becomes, off


def followed(finder: Knowing, wanted: Wanted, count: int | None = None, **others: Any) -> list[FoundFaces]:
    tracker = FaceTracker(finder, wanted, **others)
    return [tracker.follow(frame, time) for frame, time in finder.frames(count)]


@pytest.mark.parametrize("name", ["pan", "zoom", "roll"])
def test_a_face_is_followed_with_few_looks_and_little_error(name: str) -> None:
    finder = Knowing(clip(name, SIZE, 30))
    found = followed(finder, ALICE)
    assert [list(frame.tracks) for frame in found] == [[1]] * 30
    assert all(frame.assignment == {0: ALICE} for frame in found)
    assert sum(finder.asked.values()) == sum(frame.looks for frame in found) < 16
    assert finder.asked["embed"] == 0
    errors = [off(frame.faces[0], finder.made.truth(index)[0]) for index, frame in enumerate(found)]
    assert np.median(errors) < 0.015
    assert max(errors) < 0.04


def test_a_still_head_is_seldom_looked_at_and_hardly_moves() -> None:
    finder = Knowing(clip("still", SIZE))
    points = np.array([frame.faces[0].points5 for frame in followed(finder, ALICE)])
    assert sum(finder.asked.values()) < 10
    assert np.diff(points, axis=0).std() < 0.1


@pytest.mark.parametrize(("every", "looks"), [(1, 12), (4, 3), (6, 2), (100, 1)])
def test_the_detector_looks_at_every_nth_frame(every: int, looks: int) -> None:
    finder = Knowing(clip("pan", SIZE, 12))
    followed(finder, ALICE, tracking=Tracking(detect_every=every))
    assert finder.asked == {"around": looks, "near": looks}


def test_without_tracking_each_frame_is_found_and_assigned_alone() -> None:
    finder = Knowing(clip("cross", SIZE, 4))
    wanted = {ALICE: at("left"), BOB: like(PEOPLE[1])}
    found = followed(finder, wanted, tracking=Tracking(is_on=False))
    assert finder.asked == {"around": 4, "embed": 12}
    assert all(list(frame.tracks) == [] and len(frame.faces) == 3 for frame in found)
    assert all(set(frame.assignment.values()) == {ALICE, BOB} for frame in found)


@pytest.mark.parametrize(
    "wanted",
    [
        {ALICE: at(1), BOB: at(3), CAROL: at(2)},
        {person: like(PEOPLE[i]) for i, person in enumerate((ALICE, BOB, CAROL))},
    ],
    ids=["by place", "by reference"],
)
def test_people_who_cross_keep_their_identities(wanted: Wanted) -> None:
    finder = Knowing(clip("cross", SIZE, 106))
    tracker = FaceTracker(finder, wanted)
    for frame, time in finder.frames(start=46):
        found = tracker.follow(frame, time)
        seen = [truth for truth in finder.made.truth(finder.index) if not truth.is_hidden]
        assert [becomes(found, truth) for truth in seen] == [(ALICE, BOB, CAROL)[truth.person] for truth in seen]
    assert set(found.tracks) == {1, 2, 3}


def test_all_faces_of_people_who_cross_are_found_where_they_are_if_all_become_one() -> None:
    finder = Knowing(clip("cross", SIZE, 106), is_eager=True)
    tracker = FaceTracker(finder, ALICE)
    for frame, time in finder.frames(start=46):
        found, truths = tracker.follow(frame, time), finder.made.truth(finder.index)
        assert all(becomes(found, truth) == ALICE for truth in truths if not truth.is_hidden)
        assert all(min(off(face, truth) for truth in truths) < 0.8 for face in found.faces)


def test_a_track_is_of_one_person_if_asked_for() -> None:
    finder = Knowing(clip("cross", SIZE, 106), is_eager=True)
    tracker, people = FaceTracker(finder, {}, by_identity=True), set[tuple[int, int]]()
    for frame, time in finder.frames(start=46):
        found, truths = tracker.follow(frame, time), finder.made.truth(finder.index)
        for number, face in zip(found.tracks, found.faces, strict=True):
            near = min(truths, key=lambda truth: off(face, truth))
            if off(face, near) < 0.2:
                people.add((number, near.person))
    assert sorted(number for number, _ in people) == [1, 2, 3]


def test_a_cut_ends_every_track_and_what_rules_by_place_decided() -> None:
    finder = Knowing(clip("scenes", SIZE))
    found = followed(finder, {ALICE: at("left"), BOB: largest})
    bounds = [0, *CLIPS["scenes"].scenes, CLIPS["scenes"].count]
    scenes = [{track for frame in found[a:b] for track in frame.tracks} for a, b in pairwise(bounds)]
    assert scenes == [{1}, {2}, set(), {3, 4}]
    for index, frame in enumerate(found):
        truths = finder.made.truth(index)
        expected = {0: [ALICE], 1: [ALICE], 2: [], 3: [BOB, ALICE]}[index // 15]
        assert [becomes(frame, truth) for truth in truths] == expected


def test_a_face_that_is_no_longer_there_is_not_drawn() -> None:
    finder = Knowing(clip("still", SIZE, 12))
    tracker = FaceTracker(finder, ALICE)
    for frame, time in finder.frames(3):
        assert len(tracker.follow(frame, time).faces) == 1
    gone, finder.made = finder.made.frame(3), clip("scenes", SIZE)
    finder.index = 35  # nobody
    left, top, right, bottom = tracker.follow(gone, Fraction(3, 25)).faces[0].box_xyxy.astype(int)
    covered = gone.copy()
    covered[top - 20 : bottom + 20, left - 20 : right + 20] = noise(bottom - top + 40, right - left + 40)
    assert list(tracker.follow(covered, Fraction(4, 25)).faces) == []


def test_what_is_saved_is_all_that_the_next_frames_depend_on() -> None:
    finder, wanted = Knowing(clip("cross", SIZE, 80)), {ALICE: at(1), BOB: at(3), CAROL: like(PEOPLE[2])}
    first, second = FaceTracker(finder, wanted), FaceTracker(finder, wanted)
    for frame, time in finder.frames(64, start=44):
        first.follow(frame, time)
    second.restore(saved := first.save())
    assert second.save() == saved
    before = finder.asked["around"]
    for frame, time in finder.frames(start=64):
        one, other = (tracker.follow(frame, time) for tracker in (first, second))
        assert (one.tracks, one.assignment, one.looks) == (other.tracks, other.assignment, other.looks)
        for face, same in zip(one.faces, other.faces, strict=True):
            assert face.points5.tobytes() + face.box_xyxy.tobytes() == same.points5.tobytes() + same.box_xyxy.tobytes()
    assert finder.asked["around"] > before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda data: data[:-20],
        lambda _: b"[1]",
        lambda data: data.replace(b'"version": 1', b'"version": 2'),
        lambda data: data.replace(b'"doubt"', b'"doubts"'),
        lambda data: data.replace(b'"base64": "', b'"base64": "AAAA'),
    ],
    ids=["nothing", "cut", "a list", "another version", "another name", "another length"],
)
def test_what_no_tracker_saved_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    finder = Knowing(clip("still", SIZE, 2))
    tracker = FaceTracker(finder, ALICE)
    for frame, time in finder.frames():
        tracker.follow(frame, time)
    with pytest.raises(ValueError, match=r"^expected what a tracker saved, seen a fault: .*; begin without it"):
        tracker.restore(spoil(tracker.save()))


def test_a_frame_of_another_size_begins_another_scene() -> None:
    tracker = FaceTracker(finder := Knowing(clip("still", SIZE, 2)), ALICE)
    tracks = [list(tracker.follow(*next(finder.frames())).tracks)]
    finder.made = clip("still", (160, 90), 2)
    tracks.append(list(tracker.follow(*next(finder.frames(start=1))).tracks))
    assert tracks == [[1], [2]]


def test_nothing_is_embedded_where_nobody_is_wanted() -> None:
    finder = Knowing(clip("cross", SIZE, 3))
    found = followed(finder, {})
    assert finder.asked["embed"] == 0
    assert [(list(frame.tracks), frame.assignment) for frame in found] == [([1, 2, 3], {})] * 3


@pytest.mark.parametrize("wanted", [None, {ALICE: "largest"}, {0: "alice"}, {ALICE: []}], ids=str)
def test_what_is_no_rule_is_refused_at_once(wanted: Any) -> None:
    with pytest.raises(TypeError, match=r"^assign: expected"):
        FaceTracker(Knowing(clip("still", SIZE)), wanted)
