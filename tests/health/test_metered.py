"""Metered steps do what the steps do, and count the frames and the faces that went through both."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import pytest
from prometheus_client import CollectorRegistry

from morphstream.artifact.errors import FrameError, SessionError
from morphstream.face.types import Identity
from morphstream.frame import Frame
from morphstream.health.before import open_pipeline
from morphstream.health.metered import metered
from morphstream.health.metrics import Metrics
from morphstream.store.store import Store
from morphstream.stream.run import run
from tests.face import astronaut_bgr, identity_of
from tests.health import number
from tests.stream import KeptFrames, PlayedSource

A = TypeVar("A")
B = TypeVar("B")
IDENTITY = identity_of([1.0])


@dataclass(frozen=True, eq=False)
class PlayedFaces:
    """A frame, and as many faces to swap as its pixel says."""

    frame: Frame
    assignment: Mapping[int, Identity]


def find(frame: Frame) -> PlayedFaces:
    return PlayedFaces(frame, dict.fromkeys(range(int(frame[0, 0, 0])), IDENTITY))


def swap(found: PlayedFaces) -> Frame:
    if len(found.assignment) == 5:
        raise SessionError("no")
    return found.frame * 10


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def counts(metrics: Metrics) -> tuple[float, ...]:
    text = metrics.text()
    return tuple(number(text, name) for name in ("frames_total", "faces_total", "frame_seconds_count"))


def test_frames_and_the_faces_that_were_swapped_are_counted(metrics: Metrics) -> None:
    sink = KeptFrames()
    run(PlayedSource(5), metered((find, swap), metrics.count_frame), sink)
    assert [int(frame.value[0, 0, 0]) for frame in sink.frames] == [0, 10, 20, 30, 40]
    assert counts(metrics) == (5, 0 + 1 + 2 + 3 + 4, 5)


def test_what_fails_is_raised_and_not_counted(metrics: Metrics) -> None:
    with pytest.raises(FrameError, match=r"^frame 5 \(0\.200 s\): no$"):
        run(PlayedSource(9), metered((find, swap), metrics.count_frame), KeptFrames())
    assert counts(metrics) == (5, 10, 5)


def test_real_steps_can_be_metered(booted: Store, metrics: Metrics) -> None:
    frame = astronaut_bgr()
    with open_pipeline(booted.path, swap_model="inswapper_128_fp16") as pipeline:
        steps = pipeline.steps(IDENTITY)
        timed_find, timed_swap = metered(steps, metrics.count_frame)
        assert (timed_swap(timed_find(frame)) == steps[1](steps[0](frame))).all()
    assert counts(metrics) == (1, 1, 1)
    assert number(metrics.text(), "frame_seconds_sum") > 0


def test_a_frame_that_is_dropped_is_not_counted(metrics: Metrics) -> None:
    timed_find, timed_swap = metered((find, swap), metrics.count_frame)
    found = [timed_find(frame.value) for frame in iter(PlayedSource(4).read, None)]
    timed_swap(found[3])
    assert counts(metrics) == (1, 3, 1)


def test_the_seconds_are_those_of_both_steps_without_the_wait_between_them() -> None:
    inside, outside, counted = Stopwatch(), Stopwatch(), list[float]()
    steps = metered((inside.timed(find), inside.timed(swap)), lambda seconds, _: counted.append(seconds))
    timed_find, timed_swap = outside.timed(steps[0]), outside.timed(steps[1])
    frame = PlayedSource(1).read()
    assert frame
    found = timed_find(frame.value)
    threading.Event().wait(0.1)
    timed_swap(found)
    assert inside.seconds <= counted[0] <= outside.seconds


class Stopwatch:
    """Adds up the seconds of calls."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[[A], B]) -> Callable[[A], B]:
        """Return a function that does as another."""

        def call(value: A) -> B:
            start = time.perf_counter()
            result = function(value)
            self.seconds += time.perf_counter() - start
            return result

        return call
