"""A stream keeps the newest frames or all of them, in order, and ends after the frames before its error."""

from fractions import Fraction

import pytest

from morphstream.face.look import Look
from morphstream.face.types import FoundFaces
from morphstream.frame import Timed
from morphstream.stream.run import Late
from morphstream.worker.queues import Found, Pushed, StreamQueues, Swapped
from tests.worker import picture


def pushed(index: int) -> Pushed:
    return Pushed(given=Timed(value=(picture(), index), index=index, time=Fraction(index)), at_s=0)


def found(frame: Pushed) -> Found:
    faces = FoundFaces(frame=picture(), faces=[], assignment={})
    return Found(pushed=frame, faces=faces, look=Look(), began_s=0, found_s=0, inference_s=0)


def swapped(frame: Found) -> Swapped:
    return Swapped(
        frame=picture(),
        time=frame.pushed.given.value[1],
        index=frame.pushed.given.index,
        found=frame.faces,
        waited_s=0,
        found_s=0,
        drawn_s=0,
        latency_s=0,
        inference_s=0,
    )


def find_and_draw(queues: StreamQueues) -> None:
    queues.end_find(found(queues.begin_find()))
    queues.end_draw(swapped(queues.begin_draw()))


def pulled(queues: StreamQueues, *, newest: bool = False) -> list[int]:
    return [frame.index for frame in queues.pull(newest=newest)]


def test_the_newest_frame_takes_the_place_of_one_that_waits() -> None:
    queues = StreamQueues("drop", 1)
    assert [queues.push(pushed(index)) for index in range(3)] == [True] * 3
    find_and_draw(queues)
    assert pulled(queues) == [2]
    assert (queues.meter.pushed, queues.meter.swapped, queues.meter.dropped) == (3, 1, 2)


def test_frames_that_wait_are_taken_while_there_is_room_and_drawn_while_there_is_room_for_what_they_become() -> None:
    queues = StreamQueues("wait", 2)
    assert [queues.push(pushed(index)) for index in range(3)] == [True, True, False]
    find_and_draw(queues)
    find_and_draw(queues)
    assert queues.push(pushed(2))
    queues.end_find(found(queues.begin_find()))
    assert not queues.can_draw
    assert pulled(queues) == [0]
    assert queues.can_draw
    assert queues.meter.dropped == 0


def test_what_nobody_pulls_makes_room_for_newer_frames_and_who_wants_the_newest_gets_that() -> None:
    queues = StreamQueues("drop", 2)
    for index in range(4):
        queues.push(pushed(index))
        find_and_draw(queues)
    assert pulled(queues, newest=True) == [3]
    assert pulled(queues) == []
    assert queues.meter.dropped == 3


@pytest.mark.parametrize("is_drawn", [False, True], ids=["as it was found", "as it was drawn"])
def test_an_error_ends_a_stream_after_the_frames_before_it(*, is_drawn: bool) -> None:
    queues, error = StreamQueues("wait", 5), ValueError("no")
    for index in range(4):
        queues.push(pushed(index))
    find_and_draw(queues)
    queues.end_find(found(queues.begin_find()))
    if is_drawn:
        queues.begin_draw()
        queues.begin_find()
    else:
        queues.begin_find()
    queues.fail(error, is_drawn=is_drawn)
    if is_drawn:
        queues.end_draw(None)
        queues.end_find(found(pushed(2)))  # which nobody needs any more
    else:
        queues.end_find(None)
        queues.end_draw(swapped(queues.begin_draw()))
    assert not queues.push(pushed(4))
    assert [*pulled(queues), *pulled(queues)] == ([0] if is_drawn else [0, 1])
    assert queues.has_ended
    assert queues.error is error


def test_a_stream_has_ended_when_its_last_frame_is_pulled() -> None:
    queues = StreamQueues("drop", 1)
    queues.push(pushed(0))
    queues.is_ended = True
    assert not queues.push(pushed(1))
    find_and_draw(queues)
    assert not queues.has_ended
    assert pulled(queues) == [0]
    assert queues.has_ended


def test_a_closed_stream_forgets_the_frame_that_an_engine_is_at() -> None:
    queues = StreamQueues("drop", 1)
    queues.push(pushed(0))
    frame = queues.begin_find()
    queues.clear()
    queues.end_find(found(frame))
    assert not queues.can_draw
    assert queues.has_ended


@pytest.mark.parametrize(("late", "size"), [("drop", 0), ("never", 1)], ids=["no room", "no such way"])
def test_queues_that_cannot_be_are_refused(late: Late, size: int) -> None:
    with pytest.raises(ValueError, match="expected queue_size of 1 or more, late of"):
        StreamQueues(late, size)
