"""A run writes the frames of its source in order, each with its index and time; it drops frames only where it may."""

import threading
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphstream.frame import Frame
from morphstream.stream.run import FrameSink, FrameSource, Late, StreamReport, run
from tests.stream import KeptFrames, PlayedSource


def double(frame: Frame) -> Frame:
    return frame * 2


def as_text(frame: Frame) -> str:
    return str(frame[0, 0, 0])


def as_frame(text: str) -> Frame:
    return np.full((1, 1, 3), int(text), np.uint8)


def pauses(seconds: list[float]) -> Callable[[int], object]:
    """Return what waits for some time at each frame."""
    return lambda index: threading.Event().wait(seconds[index % len(seconds)]) if seconds else None


SECONDS = st.lists(st.sampled_from([0.0, 0.0005, 0.002]), max_size=4)


@given(
    count=st.integers(0, 12),
    steps=st.integers(0, 3),
    queue_size=st.integers(1, 3),
    source_seconds=SECONDS,
    sink_seconds=SECONDS,
)
def test_nothing_is_lost_where_the_source_waits(
    count: int, steps: int, queue_size: int, source_seconds: list[float], sink_seconds: list[float]
) -> None:
    sink = KeptFrames(pauses(sink_seconds))
    report = run(PlayedSource(count, pauses(source_seconds)), [double] * steps, sink, queue_size=queue_size)
    assert report == StreamReport(read=count, written=count, dropped=0)
    assert sink.indices == list(range(count))
    assert [frame.time for frame in sink.frames] == [Fraction(index, 25) for index in range(count)]
    assert [int(frame.value[0, 0, 0]) for frame in sink.frames] == [index * 2**steps for index in range(count)]


@given(
    count=st.integers(0, 12),
    steps=st.integers(0, 2),
    queue_size=st.integers(1, 3),
    source_seconds=SECONDS,
    sink_seconds=SECONDS,
)
def test_what_is_written_and_what_is_dropped_is_what_was_read(
    count: int, steps: int, queue_size: int, source_seconds: list[float], sink_seconds: list[float]
) -> None:
    source, sink = PlayedSource(count, pauses(source_seconds)), KeptFrames(pauses(sink_seconds))
    report = run(source, [double] * steps, sink, queue_size=queue_size, late="drop")
    assert report == StreamReport(read=count, written=len(sink.frames), dropped=count - len(sink.frames))
    assert sink.indices == sorted(set(sink.indices))
    newest = list(range(count))[-queue_size:]
    assert sink.indices[-len(newest) :] == newest
    assert all(frame.time == Fraction(frame.index, 25) for frame in sink.frames)


def test_values_of_any_kind_flow_between_steps() -> None:
    sink = KeptFrames()
    run(PlayedSource(3), (double, as_text, as_frame), sink)
    assert [int(frame.value[0, 0, 0]) for frame in sink.frames] == [0, 2, 4]


@pytest.mark.parametrize("queue_size", [1, 2, 5])
def test_the_oldest_waiting_frames_are_dropped_and_the_newest_win(queue_size: int) -> None:
    has_first, has_all = threading.Event(), threading.Event()

    def before_read(index: int) -> None:
        if index == 1:
            has_first.wait()
        elif index == 20:
            has_all.set()

    def before_write(index: int) -> None:
        has_first.set()
        has_all.wait()

    sink = KeptFrames(before_write)
    report = run(PlayedSource(20, before_read), (), sink, queue_size=queue_size, late="drop")
    assert sink.indices == [0, *range(20 - queue_size, 20)]
    assert report == StreamReport(read=20, written=1 + queue_size, dropped=19 - queue_size)


@pytest.mark.parametrize("queue_size", [1, 2, 5])
def test_a_source_that_waits_is_only_so_far_ahead(queue_size: int) -> None:
    source = PlayedSource(50)
    ahead: list[int] = []
    run(source, (double,), KeptFrames(lambda index: ahead.append(source.read_count - index)), queue_size=queue_size)
    assert max(ahead) <= 1 + 2 * (queue_size + 1)  # at the sink, and in two threads and the queues after them


def test_each_step_has_a_thread_of_its_own_with_a_name_and_the_sink_has_the_callers() -> None:
    names: dict[str, set[str]] = {}

    def note(where: str) -> None:
        names.setdefault(where, set()).add(threading.current_thread().name)

    def step(where: str) -> Callable[[Frame], Frame]:
        def noted(frame: Frame) -> Frame:
            note(where)
            return frame

        return noted

    source, sink = PlayedSource(5, lambda _: note("source")), KeptFrames(lambda _: note("sink"))
    run(source, (step("one"), step("two")), sink)
    assert names == {
        "source": {"morphstream-source"},
        "one": {"morphstream-step-1"},
        "two": {"morphstream-step-2"},
        "sink": {threading.current_thread().name},
    }


def test_steps_are_at_several_frames_at_once() -> None:
    both = threading.Barrier(2, timeout=10)  # breaks unless one step is at a frame while the other is at the next

    def meet(frame: Frame) -> Frame:
        both.wait()
        return frame

    def first(frame: Frame) -> Frame:
        return meet(frame) if frame[0, 0, 0] else frame

    def second(frame: Frame) -> Frame:
        return frame if frame[0, 0, 0] == 4 else meet(frame)

    sink = KeptFrames()
    run(PlayedSource(5), (first, second), sink)
    assert sink.indices == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("queue_size", "late"), [(0, "wait"), (-1, "drop"), (2, "skip")])
def test_a_queue_that_cannot_be_is_refused_before_anything_is_read(queue_size: int, late: Late) -> None:
    source = PlayedSource(1)
    with pytest.raises(ValueError, match=f"expected queue_size of 1 or more, .* seen {queue_size} and '{late}'"):
        run(source, (), KeptFrames(), queue_size=queue_size, late=late)
    assert source.read_count == 0


def test_a_source_and_a_sink_need_one_method_each() -> None:
    source: FrameSource[Frame] = PlayedSource(0)
    sink: FrameSink[Frame] = KeptFrames()
    assert run(source, (), sink) == StreamReport(read=0, written=0, dropped=0)
