"""A pipeline swaps the frames of a stream or a video in order, each at its time."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from morphstream.artifact.errors import VideoError
from morphstream.face.look import Look
from morphstream.face.track import Tracking
from morphstream.face.types import Identity
from morphstream.frame import Frame
from morphstream.media.video.swap_video import VideoOptions
from morphstream.pipeline import SwapPipeline
from tests.media.video.films import content_of, write_film

LOOK = Look(angles=(), occluder=None)
COUNT = 4


def moving(astronaut: Frame) -> list[Frame]:
    small = cv2.resize(astronaut, (320, 320), interpolation=cv2.INTER_AREA)
    return [np.ascontiguousarray(small[0:240, 2 * index : 2 * index + 256]) for index in range(COUNT)]


def test_without_tracking_a_stream_gives_what_calls_give_each_at_its_time(
    swap: SwapPipeline, astronaut: Frame, source: Identity
) -> None:
    times: list[float | Fraction] = [0, 0.04, Fraction(1001, 12000), 7.5]
    frames = moving(astronaut)
    given = zip(frames, times, strict=True)
    swapped = list(swap.stream(given, source, look=LOOK, tracking=Tracking(is_on=False)))
    assert [time for _, time in swapped] == times
    for frame, (new, _) in zip(frames, swapped, strict=True):
        np.testing.assert_array_equal(new, swap(frame, source, look=LOOK))
        assert (new != frame).any()


def test_a_stream_that_is_no_longer_read_ends(swap: SwapPipeline, astronaut: Frame, source: Identity) -> None:
    given = ((frame, index) for index, frame in enumerate(moving(astronaut) * 100))
    stream = swap.stream(given, source, look=LOOK)
    assert next(stream)[1] == 0
    stream.close()
    assert next(given)[1] < 20


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        pytest.param((np.zeros((8, 3), np.uint8), 1), "expected a BGR frame", id="no frame"),
        pytest.param(np.zeros((8, 8, 3), np.uint8), "expected a pair .frame, seconds., seen ndarray", id="no time"),
        pytest.param((1, np.zeros((8, 8, 3), np.uint8)), "expected a pair", id="the other way round"),
        pytest.param((np.zeros((8, 8, 3), np.uint8), float("nan")), "expected a time .* seen nan", id="NaN"),
    ],
)
def test_a_stream_says_which_frame_is_wrong(
    swap: SwapPipeline, astronaut: Frame, source: Identity, wrong: object, seen: str
) -> None:
    given: list[Any] = [(moving(astronaut)[0], 0), wrong]
    stream = swap.stream(given, source, look=LOOK)
    assert next(stream)[1] == 0
    with pytest.raises((ValueError, TypeError), match=seen) as caught:
        next(stream)
    assert "frame 1" in f"{caught.value} {getattr(caught.value, '__notes__', '')}"


def test_a_video_is_swapped_and_resumed_with_the_same_people_alone(
    swap: SwapPipeline, astronaut: Frame, source: Identity, tmp_path: Path
) -> None:
    frames = moving(astronaut)
    film = write_film(tmp_path / "in.mp4", count=COUNT, size_wh=(256, 240), frame_of=lambda index, _: frames[index])
    report = swap.video(film, tmp_path / "out.mp4", source, look=LOOK)
    assert (report.frames, report.swapped, report.faces) == (COUNT, COUNT, 1)
    assert content_of(tmp_path / "out.mp4").times == content_of(film).times
    recipe = swap._recipe(source, LOOK, Tracking())
    other = swap._recipe(Identity(embedding=-source.embedding), Look(regions=frozenset({"nose", "mouth"})), Tracking())
    assert {name for name in recipe if recipe[name] != other[name]} == {"people", "look"}
    assert '["mouth", "nose"]' in other["look"]  # the order of a set is another in each process
    with pytest.raises(VideoError, match="expected a name that ends in one of"):
        swap.video(film, tmp_path / "out.avi", source, options=VideoOptions())
