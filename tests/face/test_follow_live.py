"""A live stream's faces are found soon after they are visible, and who becomes whom changes between two frames."""

import pytest

from bench.clips import clip
from morphstream.face.assign import Wanted, at, like
from morphstream.face.follow import FaceTracker
from morphstream.face.look import Look
from morphstream.face.track import LIVE_TRACKING, Tracking
from tests.face.knowing import ALICE, BOB, CAROL, PEOPLE, SIZE, Knowing, becomes


def test_who_becomes_whom_changes_between_two_frames_and_tracks_stay() -> None:
    finder = Knowing(clip("cross", SIZE, 12))
    tracker, seen = FaceTracker(finder, {ALICE: at("left")}), []
    changes: dict[int, Wanted] = {3: {BOB: at("left"), CAROL: at(3)}, 6: {}, 9: {ALICE: like(PEOPLE[2])}, 10: BOB}
    for index, (frame, time) in enumerate(finder.frames()):
        tracker.change(wanted=changes.get(index))
        found = tracker.follow(frame, time)
        assert sorted(found.tracks) == [1, 2, 3]
        seen.append([becomes(found, truth) for truth in finder.made.truth(index)])
    right, middle, left = range(3)
    assert [finder.made.truth(0)[face].person for face in (right, middle, left)] == [1, 2, 0]
    assert seen[2:3] == [[None, None, ALICE]]
    assert seen[3:6] == [[CAROL, None, BOB]] * 3
    assert seen[6:9] == [[None] * 3] * 3
    assert seen[9:] == [[None, ALICE, None], [BOB] * 3, [BOB] * 3]


def test_a_rule_by_place_keeps_its_track_when_another_comes_beside_it() -> None:
    finder = Knowing(clip("cross", SIZE, 106))
    tracker = FaceTracker(finder, {ALICE: at(1)})
    for index, (frame, time) in enumerate(finder.frames(start=46)):
        found = tracker.follow(frame, time)
        if index == 58:  # person 0, who was on the left, has changed sides
            tracker.change(wanted={BOB: at(1), CAROL: at(2)})
    whose = [becomes(found, truth) for truth in finder.made.truth(finder.index)]
    assert [truth.person for truth in finder.made.truth(finder.index)] == [1, 2, 0]
    assert whose == [None, CAROL, BOB]


def test_a_change_of_no_rule_changes_nothing() -> None:
    finder = Knowing(clip("still", SIZE, 2))
    tracker = FaceTracker(finder, ALICE)
    with pytest.raises(TypeError, match=r"^assign: expected"):
        tracker.change(wanted={ALICE: "largest"})  # type: ignore[arg-type]
    assert [tracker.follow(frame, time).assignment for frame, time in finder.frames()] == [{0: ALICE}] * 2


def test_another_look_is_taken_at_the_next_frame() -> None:
    finder = Knowing(clip("still", SIZE, 20))
    tracker = FaceTracker(finder, ALICE)
    for index, (frame, time) in enumerate(finder.frames()):
        before = finder.asked.copy()
        tracker.change(look=Look(landmarker="2dfan4", angles=(0, 90)) if index == 10 else None)
        assert list(tracker.follow(frame, time).tracks) == [1]
        assert finder.asked - before == {10: {"around": 1, "near": 1}}.get(index, finder.asked - before)
    assert [look.landmarker for look in finder.looks][-2:] == [None, "2dfan4"]


def test_live_who_comes_or_comes_back_is_found_within_200_ms() -> None:
    finder = Knowing(clip("comes", SIZE))
    tracker, visible = FaceTracker(finder, ALICE, tracking=LIVE_TRACKING), 0
    for index, (frame, _) in enumerate(finder.frames()):
        faces, truths = tracker.follow(frame, index / 30).faces, finder.made.truth(index)
        visible = visible + 1 if len(truths) == 2 else 0
        assert len(faces) == len(truths) or visible <= 6 > len(faces)
    assert finder.asked["around"] < 40


def test_live_time_that_goes_back_is_no_reason_to_stop_looking() -> None:
    finder = Knowing(clip("still", SIZE, 40))
    tracker = FaceTracker(finder, ALICE, tracking=LIVE_TRACKING)
    for index, (frame, _) in enumerate(finder.frames()):
        before = finder.asked["around"]
        tracker.follow(frame, index / 30 if index < 20 else index / 30 - 1000)
        assert index not in (0, 20) or finder.asked["around"] == before + 1
    assert 7 <= finder.asked["around"] < 12


def test_in_idle_time_the_whole_frame_is_looked_at_on_the_largest_canvas() -> None:
    fine = dict[bool, int]()
    for is_idle in (True, False):
        finder = Knowing(clip("still", SIZE, 30))
        tracker = FaceTracker(finder, ALICE, tracking=LIVE_TRACKING)
        for frame, time in finder.frames():
            tracker.follow(frame, time, is_idle=is_idle)
        fine[is_idle] = finder.withins.count(None)
        assert len(finder.withins) == finder.asked["around"]
    assert fine[True] == finder.asked["around"] > 2 * fine[False]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_looks_without_time_between_them_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"^tracking: expected more than 0 seconds from look to look, seen "):
        Tracking(look_every_s=seconds)
