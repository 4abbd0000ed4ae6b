"""A recording is marked, in step with its sound, and has its name only when it is complete."""

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import c2pa
import numpy as np
import pytest

from morphstream.artifact.errors import VideoError
from morphstream.media.credentials import Signing
from morphstream.media.live.items import LiveFrame, Sound
from morphstream.media.live.muxed import fitted
from morphstream.media.live.output import line_of_error
from morphstream.media.live.recording import Recording, unfinished
from morphstream.media.live.sink import open_output
from morphstream.media.provenance import is_ours
from morphstream.media.video.marks import WORDS, read_tags
from tests.media.certificates import make_certificates
from tests.media.live.counted import RATE, SOUND_RATE, beep, counted_frame, seen_in
from tests.media.live.fakes import grey


def _record(recording: Recording, numbers: range, *, size_wh: tuple[int, int] = (160, 120)) -> None:
    for number in numbers:
        time = Fraction(number, RATE)
        recording.put(LiveFrame(frame=counted_frame(number, size_wh), time=time, arrived=0))
        recording.put(Sound(samples=beep(number), time=time))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
def test_a_recording_is_marked_and_in_step(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"take{suffix}"
    with Recording(path, has_sound=True) as recording:
        _record(recording, range(30))
        assert not path.exists()
    with av.open(str(path)) as file:
        seen = seen_in(file)
    assert [number for number, _ in seen.frames] == list(range(30))
    assert len(seen.beeps) == 2
    assert max(map(abs, seen.distances()[1:])) < 0.002
    assert read_tags(path)[1]["comment"] == WORDS
    assert is_ours(path)
    assert list(tmp_path.iterdir()) == [path]


def test_frames_that_were_dropped_and_sound_that_paused_leave_the_rest_in_step(tmp_path: Path) -> None:
    path = tmp_path / "take.mkv"
    with Recording(path, has_sound=True) as recording:
        for number in (*range(10), *range(20, 60, 2)):
            time = Fraction(number, RATE) + Fraction(number % 3, 10_000)  # as inexact as FLV's are
            recording.put(LiveFrame(frame=counted_frame(number), time=time, arrived=0))
            recording.put(Sound(samples=np.concatenate([beep(number), beep(number + 1)]), time=time))
    with av.open(str(path)) as file:
        seen = seen_in(file)
    assert [number for number, _ in seen.frames] == [*range(10), *range(20, 60, 2)]
    assert max(map(abs, seen.distances())) < 0.002


def test_frames_of_another_size_are_fitted_and_odd_sizes_cut(tmp_path: Path) -> None:
    path = tmp_path / "take.mkv"
    with Recording(path, has_sound=False) as recording:
        for place, size_wh in enumerate([(161, 121), (320, 120), (40, 400)]):
            recording.put(LiveFrame(frame=grey(200, size_wh), time=Fraction(place), arrived=0))
    with av.open(str(path)) as file:
        sizes = [(frame.width, frame.height) for frame in file.decode(video=0)]
    assert sizes == [(160, 120)] * 3


def test_a_frame_is_fitted_in_the_middle_of_black() -> None:
    frame = fitted(grey(200, (40, 10)), (20, 20))
    assert frame.shape == (20, 20, 3)
    assert (frame[:7].max(), frame[8:12].min(), frame[13:].max()) == (0, 200, 0)
    same = grey(1)
    assert np.shares_memory(fitted(same, (8, 6)), same)


def test_what_a_killed_run_leaves_plays_and_is_not_replaced(tmp_path: Path) -> None:
    path, kept = tmp_path / "take.mp4", tmp_path / "kept.mp4"
    with Recording(path, has_sound=True) as recording:
        _record(recording, range(120))
        shutil.copy(unfinished(path), kept)
        with pytest.raises(VideoError, match=r"take\.mp4: expected no unfinished recording, seen take\.mp4\.recording"):
            open_output(str(path), overwrite=True)
    with av.open(str(kept)) as file:
        assert len(seen_in(file).frames) >= 40
    with pytest.raises(VideoError, match="expected no file, seen one"):
        open_output(str(path))


@contextmanager
def _room_for(count: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _fill(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    with Recording(path, has_sound=True) as recording:
        for number in range(200):
            recording.put(LiveFrame(frame=noise, time=Fraction(number, RATE), arrived=0))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_full_disk_ends_it_in_one_line_and_what_was_recorded_stays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"take{suffix}"
    with _room_for(60_000), pytest.raises(OSError, match="File too large") as raised:
        _fill(path)
    assert line_of_error(raised.value).startswith(f"{path}: expected room to write, seen File too large; ")
    assert not path.exists()
    assert unfinished(path).stat().st_size > 10_000


def test_a_recording_without_a_frame_leaves_nothing(tmp_path: Path) -> None:
    with Recording(tmp_path / "take.mkv", has_sound=True) as recording:
        recording.put(Sound(samples=np.zeros((SOUND_RATE, 2), np.int16), time=Fraction(0)))
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_signed_as_created_and_where_it_cant_be_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    signing = Signing.read(*make_certificates(tmp_path / "keys")[:2], "1.0")
    for suffix in (".mp4", ".mov"):
        path = tmp_path / f"take{suffix}"
        with Recording(path, has_sound=True, signing=signing) as recording:
            _record(recording, range(30))
        with c2pa.Reader(str(path)) as reader:
            found = json.loads(reader.json())
        assert found["validation_state"] == "Valid"
        assert "c2pa.created" in json.dumps(found)
        with av.open(str(path)) as file:
            assert len(seen_in(file).frames) == 30
    with open_output(str(tmp_path / "take.mkv"), signing=signing):
        assert "take.mkv isn't signed, as .mkv has no place for that" in caplog.text
