"""Times, progress and options of videos mean what they say, and go with videos alone."""

import argparse
from fractions import Fraction

import cv2
import pytest

from morphstream.cli.options import UsageError
from morphstream.cli.videos import (
    add_videos,
    check_videos,
    clock_of,
    range_of,
    read_time,
    share_cores,
    shown,
    tracking_of,
    words_of,
)
from morphstream.face.track import DEFAULT_TRACKING, Tracking
from morphstream.media.video.report import Progress
from morphstream.session.load import usable_cores


def chosen(*words: str, **others: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_videos(parser)
    parser.set_defaults(**{"dry_run": False, "compare": False, **others})
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", Fraction(90)),
        ("1.001", Fraction(1001, 1000)),
        ("1:30", Fraction(90)),
        ("90:00", Fraction(5400)),
        ("2:03:04.5", Fraction(14769, 2)),
    ],
)
def test_a_time_is_exact(text: str, seconds: Fraction) -> None:
    assert read_time(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1:60", "1:60:00", "1e3", "nan", "1:2:3:4", "²", "1."])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected seconds, or H:MM:SS, such as 90 or"):
        read_time(text)


def test_progress_is_said_in_words_ten_times_a_second() -> None:
    assert words_of(Progress(frames=120, total=300, fps=38.16, left_s=4.7)) == (
        "frame 120 of 300 (40 %), 38.2 frames/s, 0:05 left"
    )
    assert words_of(Progress(frames=9, total=None, fps=2, left_s=None)) == "frame 9, 2.0 frames/s"
    assert [clock_of(59.6), clock_of(3600), clock_of(61.25, digits=1)] == ["1:00", "1:00:00", "1:01.2"]
    times, lines = iter([0.0, 0.05, 0.11, 0.2, 0.22]), list[str]()
    with shown("a.mp4", lambda: next(times), lines.append) as show:
        for frames in range(5):
            show(Progress(frames=frames, total=None, fps=1, left_s=None))
    assert lines == [f"a.mp4: frame {frames}, 1.0 frames/s" for frames in (0, 2, 4)] + [""]


def test_how_faces_are_followed_is_chosen() -> None:
    assert tracking_of(chosen()) == DEFAULT_TRACKING
    assert tracking_of(chosen("--detect-every=4", "--smooth=0")) == Tracking(detect_every=4, smooth=0)
    assert tracking_of(chosen("--no-tracking")) == Tracking(is_on=False)


def test_times_and_tracking_that_make_no_sense_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"^--end: expected a time after 0 s"):
        range_of(chosen("--end=0"))
    with pytest.raises(UsageError, match=r"^--end: expected a time after 5 s, seen 5 s"):
        range_of(chosen("--start=5", "--end=5"))
    with pytest.raises(UsageError, match=r"^--no-tracking: expected it alone"):
        tracking_of(chosen("--no-tracking", "--smooth=0.2"))


@pytest.mark.parametrize(
    ("words", "others", "has_videos", "expected"),
    [
        (["--fps=25"], {}, True, "--fps: expected a folder of numbered pictures, or their pattern, seen neither"),
        (["--encoder=libx264"], {}, False, "--encoder: expected a video among the targets, seen none"),
        (["--no-tracking"], {}, False, "--no-tracking: expected a video among the targets"),
        ([], {"dry_run": True}, True, "--dry-run: expected pictures alone, seen a video; --preview N"),
        ([], {"compare": True}, True, "--compare: expected pictures alone, seen a video; it goes with --preview N"),
    ],
    ids=["no numbers", "no video", "no video to track", "a dry run", "a comparison"],
)
def test_options_that_make_no_sense_together_are_wrong_usage(
    words: list[str], others: dict[str, object], has_videos: bool, expected: str
) -> None:
    with pytest.raises(UsageError, match=f"^{expected}"):
        check_videos(chosen(*words, **others), has_videos=has_videos)


@pytest.mark.parametrize("rate", ["0", "1001", "25fps", "30000/0", ""])
def test_a_rate_of_numbered_pictures_is_checked(rate: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chosen(f"--fps={rate}")
    assert "argument --fps: expected pictures a second, such as 25, 29.97 or 30000/1001" in capfd.readouterr().err


def test_opencv_leaves_cores_to_the_threads_that_are_at_other_frames_and_takes_no_more_than_it_had() -> None:
    before = cv2.getNumThreads()
    try:
        for given in (64, 1):
            cv2.setNumThreads(given)
            share_cores()
            share_cores()
            assert cv2.getNumThreads() == min(given, max(1, usable_cores() // 4))
    finally:
        cv2.setNumThreads(before)
