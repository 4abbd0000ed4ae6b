"""Frames that flow to a caller are those that a run writes; its threads end with it."""

import pytest

from morphstream.artifact.errors import FrameError, SessionError
from morphstream.stream.run import flow
from tests.stream import PlayedSource


def test_frames_come_in_order_with_their_times_through_every_step() -> None:
    frames = list(flow(PlayedSource(5), [lambda frame: frame[0, 0, 0], lambda value: 2 * int(value)]))
    assert [(frame.index, frame.value) for frame in frames] == [(index, 2 * index) for index in range(5)]
    assert [frame.time * 25 for frame in frames] == list(range(5))


def test_a_caller_who_stops_ends_the_threads() -> None:
    source = PlayedSource(10_000)
    frames = flow(source, [lambda frame: frame])
    assert next(iter(frames)).index == 0
    frames.close()
    assert source.read_count < 20


def test_a_refusal_comes_where_the_next_frame_would() -> None:
    def refuse_two(frame: object) -> object:
        if frame[0, 0, 0] == 2:  # type: ignore[index]
            raise SessionError("engine: expected an answer, seen none; ask again")
        return frame

    frames = iter(flow(PlayedSource(5), [refuse_two]))
    assert [next(frames).index for _ in range(2)] == [0, 1]
    with pytest.raises(FrameError, match="frame 2 "):
        next(frames)


def test_a_queue_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="expected queue_size of 1 or more"):
        next(iter(flow(PlayedSource(1), [], queue_size=0)))
