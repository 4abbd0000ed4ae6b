"""Streams share the engines of a worker in turn, each keeps its order, and what goes wrong is of one stream alone."""

import threading
from fractions import Fraction

import numpy as np
import pytest

from morphstream.artifact.errors import FrameError, UseError
from morphstream.face.look import Look
from morphstream.face.track import DEFAULT_TRACKING
from morphstream.pipeline import SwapPipeline
from morphstream.store.store import Store
from morphstream.worker.stream import SwapStream
from morphstream.worker.worker import SwapWorker
from tests.face import astronaut_bgr, identity_of
from tests.worker import ALONE, OTHER, OWN, SOMEBODY, WAIT_S, PlayedPipeline, picture, until


def feed(stream: SwapStream, count: int) -> threading.Thread:
    """Push frames in a thread of their own, then end the stream."""

    def push() -> None:
        for index in range(count):
            assert stream.push(picture(index), Fraction(index, 25), timeout_s=WAIT_S)
        stream.end()

    thread = threading.Thread(target=push)
    thread.start()
    return thread


def test_frames_that_wait_all_come_back_in_order_each_with_its_time(worker: SwapWorker) -> None:
    stream = worker.open("a", SOMEBODY, tracking=ALONE, late="wait")
    feeding = feed(stream, 30)
    got = list(stream)
    feeding.join()
    assert [(one.index, one.time) for one in got] == [(index, Fraction(index, 25)) for index in range(30)]
    for one in got:
        np.testing.assert_array_equal(one.found.frame, picture(one.index))
        assert (one.frame != one.found.frame).any()
        assert one.latency_s >= one.waited_s >= 0
    stats = stream.stats
    assert (stats.pushed, stats.swapped, stats.dropped, stats.waiting, stats.faces) == (30, 30, 0, 0, 1)
    assert stats.swap_model == OWN
    assert 0 < stats.p50_s <= stats.p95_s <= stats.p99_s
    assert stats.find_s + stats.draw_s == pytest.approx(stats.inference_s + stats.host_s)


def test_the_newest_frame_wins_while_the_engines_are_busy(worker: SwapWorker, pipeline: PlayedPipeline) -> None:
    stream = worker.open("a", SOMEBODY, tracking=ALONE)
    pipeline.may_swap.clear()
    stream.push(picture(), 0)
    assert pipeline.has_begun.wait(WAIT_S)
    for index in range(1, 9):
        assert stream.push(picture(index), index)
    pipeline.may_swap.set()
    stream.end()
    got = [one.index for one in stream]
    assert got == sorted(got)
    assert got[-1] == 8
    assert len(got) <= 3
    assert stream.stats.dropped == 9 - len(got)


def test_streams_take_turns(pipeline: PlayedPipeline) -> None:
    counts, streams, is_done = dict.fromkeys("abc", 0), list[SwapStream](), threading.Event()

    def count(_seconds: float, faces: int, name: str) -> None:
        counts[name] += faces
        if sum(counts.values()) >= 60:
            is_done.set()
        else:  # every stream always has a frame that waits
            for stream in streams:
                stream.push(picture(), sum(counts.values()))

    with SwapWorker(pipeline, count_frame=count) as worker:
        streams += [worker.open(name, SOMEBODY, tracking=ALONE) for name in counts]
        for stream in streams:
            stream.push(picture(), 0)
        assert is_done.wait(WAIT_S)
    assert min(counts.values()) >= 15  # of 60; on a busy machine a push comes late, and that turn is another's


def test_faces_of_several_streams_are_drawn_in_one_run_where_a_batch_is_cheaper(
    worker: SwapWorker, pipeline: PlayedPipeline
) -> None:
    streams = [worker.open(name, SOMEBODY, tracking=ALONE) for name in "abc"]
    streams[0].steps.model.is_batched = True
    pipeline.sessions[OWN].given.clear()
    pipeline.may_swap.clear()
    streams[0].push(picture(), 0)
    assert pipeline.has_begun.wait(WAIT_S)
    for stream in streams[1:]:
        stream.push(picture(), 1)
    until(lambda: sum(stream.queues.can_draw for stream in streams) == 2)
    pipeline.may_swap.set()
    for stream in streams:
        assert stream.pull(timeout_s=WAIT_S)
    assert pipeline.rows(OWN) == [1, 2]


def test_an_error_ends_its_stream_alone(worker: SwapWorker, pipeline: PlayedPipeline) -> None:
    broken, sound = worker.open("a", SOMEBODY, tracking=ALONE), worker.open("b", {}, tracking=ALONE)
    broken.push(picture(), 0)
    assert broken.pull(timeout_s=WAIT_S)
    pipeline.is_broken = True
    broken.push(picture(), 1)
    with pytest.raises(FrameError, match=r"^frame 1 \(1.000 s\): swap model: expected a picture, seen 0 everywhere"):
        broken.pull(timeout_s=WAIT_S)
    assert broken.has_ended
    assert not broken.push(picture(), 2)
    sound.push(picture(), 0)
    assert sound.pull(timeout_s=WAIT_S)


def test_what_is_no_frame_is_refused_where_it_is_pushed(worker: SwapWorker) -> None:
    stream = worker.open("a", SOMEBODY)
    with pytest.raises(ValueError, match="expected a BGR frame"):
        stream.push(picture()[..., 0], 0)
    with pytest.raises(ValueError, match="frame 0: expected a time in seconds, seen nan"):
        stream.push(picture(), float("nan"))
    assert stream.push(picture(), 0)


def test_a_clock_that_jumps_back_ends_nothing(worker: SwapWorker) -> None:
    stream = worker.open("a", SOMEBODY)
    for time in (5.0, 5.04, 0.0, 0.04):
        stream.push(picture(), time)
        got = stream.pull(timeout_s=WAIT_S)
        assert got
        assert got.time == time


def test_who_waits_for_a_frame_gets_none_when_the_stream_is_closed(worker: SwapWorker) -> None:
    stream, got = worker.open("a", SOMEBODY), list[object]()
    waiting = threading.Thread(target=lambda: got.append(stream.pull()))
    waiting.start()
    assert stream.pull(timeout_s=0) is None
    assert not stream.has_ended
    stream.close()
    waiting.join(WAIT_S)
    assert got == [None]
    assert stream.has_ended
    assert not stream.push(picture(), 0)
    assert worker.streams == []


def test_a_worker_ends_its_threads_and_streams(pipeline: PlayedPipeline) -> None:
    before = threading.active_count()
    with SwapWorker(pipeline) as worker:
        stream = worker.open("a", SOMEBODY)
        stream.push(picture(), 0)
    assert threading.active_count() == before
    assert stream.has_ended
    with pytest.raises(UseError, match="worker: expected it open, seen it closed"):
        worker.open("b", SOMEBODY)


def test_a_stream_that_cannot_be_is_refused_in_one_line(pipeline: PlayedPipeline) -> None:
    with SwapWorker(pipeline, most_streams=2) as worker:
        worker.open("a", SOMEBODY)
        with pytest.raises(UseError, match="stream 'a': expected a name of its own"):
            worker.open("a", SOMEBODY)
        with pytest.raises(TypeError):
            worker.open("b", {SOMEBODY: "left"})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="look: expected a pixel boost of a multiple"):
            worker.open("b", SOMEBODY, look=Look(pixel_boost=300), swap_model=OTHER)
        worker.open("b", SOMEBODY)
        with pytest.raises(UseError, match="stream 'c': expected 2 streams at most"):
            worker.open("c", SOMEBODY)
    with pytest.raises(ValueError, match="expected 1 stream or more, seen 0"):
        SwapWorker(pipeline, most_streams=0)


def test_who_becomes_whom_and_how_changes_between_two_frames(worker: SwapWorker, pipeline: PlayedPipeline) -> None:
    stream, other = worker.open("a", SOMEBODY, tracking=ALONE), identity_of([0.0, 1.0])
    stream.change(wanted=other, look=Look(angles=(), feather=0.3))
    stream.push(picture(), 0)
    first = stream.pull(timeout_s=WAIT_S)
    assert first
    assert first.found.assignment == {0: other}
    with pytest.raises(TypeError):
        stream.change(wanted={SOMEBODY: 1.5})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="look: expected a pixel boost"):
        stream.change(look=Look(pixel_boost=200))
    stream.change(wanted={})
    stream.push(picture(), 1)
    second = stream.pull(timeout_s=WAIT_S)
    assert second
    np.testing.assert_array_equal(second.frame, picture())


def test_frames_are_those_of_a_stream_of_the_pipeline_and_a_face_is_identified_by_its_track(booted: Store) -> None:
    frames = [(np.roll(astronaut_bgr(), 2 * index, axis=1), Fraction(index, 25)) for index in range(4)]
    with SwapPipeline(booted, threads=1) as swap, SwapWorker(swap, most_streams=1) as worker:
        somebody = swap.identify(np.ascontiguousarray(frames[0][0][:, ::-1]))
        expected = list(swap.stream(frames, somebody))
        stream = worker.open("a", somebody, tracking=DEFAULT_TRACKING, late="wait", queue_size=4)
        for frame, time in frames:
            assert stream.push(frame, time)
        stream.end()
        got = list(stream)
        (track,) = got[-1].found.tracks
        assert stream.identify(track).similarity(swap.identify(frames[0][0])) > 0.9
        assert 0 < stream.stats.inference_s < stream.stats.find_s + stream.stats.draw_s
    for (frame, time), one in zip(expected, got, strict=True):
        assert one.time == time
        np.testing.assert_array_equal(one.frame, frame)
