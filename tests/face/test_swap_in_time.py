"""A pipeline swaps the frames of a stream or a video in order, each at its time."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from morphstream.artifact.errors import FrameError, VideoError
from morphstream.face.look import Look
from morphstream.face.track import Tracking
from morphstream.face.types import Identity
from morphstream.frame import Frame, Timed
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
    frames = moving(astronaut)
    given = [Timed(value=frame, index=3 + index, time=Fraction(index, 30)) for index, frame in enumerate(frames)]
    swapped = list(swap.stream(iter(given), source, look=LOOK, tracking=Tracking(is_on=False)))
    assert [(frame.index, frame.time) for frame in swapped] == [(frame.index, frame.time) for frame in given]
    for frame, new in zip(frames, swapped, strict=True):
        np.testing.assert_array_equal(new.value, swap(frame, source, look=LOOK))
        assert (new.value != frame).any()


def test_a_stream_that_is_no_longer_read_ends_and_one_that_fails_says_where(
    swap: SwapPipeline, astronaut: Frame, source: Identity
) -> None:
    frames = moving(astronaut)
    given = (Timed(value=frame, index=index, time=Fraction(index)) for index, frame in enumerate(frames * 100))
    stream = swap.stream(given, source, look=LOOK)
    assert next(stream).index == 0
    stream.close()
    assert next(given).index < 20
    wrong = [Timed(value=frames[0], index=0, time=Fraction(0)), Timed(value=frames[0][0], index=1, time=Fraction(1))]
    with pytest.raises((FrameError, ValueError)) as caught:
        list(swap.stream(wrong, source, look=LOOK))
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
    assert "['mouth', 'nose']" in other["look"]  # the order of a set is another in each process
    with pytest.raises(VideoError, match="expected a name that ends in one of"):
        swap.video(film, tmp_path / "out.avi", source, options=VideoOptions())
