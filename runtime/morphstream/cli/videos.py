"""Swap the faces of videos: the options that only they have, a line of progress, and a preview."""

import argparse
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.cli.options import MAX_PICTURE_PIXELS, UsageError, checked, number, whole_number
from morphstream.source.progress import show_line

if TYPE_CHECKING:
    from morphstream.cli.targets import Job
    from morphstream.face.track import Tracking
    from morphstream.media.video.report import Progress
    from morphstream.media.video.swap_video import VideoOptions

_OPTIONS = ("start", "end", "fps", "preview", "encoder", "quality", "detect-every", "smooth", "no-tracking")
_EACH_S = 0.1  # between two lines of progress
_MOST_RATE = 1000
_CLOCK = re.compile(r"(?:(?:([0-9]{1,4}):)?([0-9]{1,4}):)?([0-9]{1,6}(?:\.[0-9]{1,9})?)")
_AT_ONCE = 4  # threads that are at a frame each


def add_videos(parser: argparse.ArgumentParser) -> None:
    """Add the options that only videos have."""
    videos = parser.add_argument_group("videos")
    add_range(videos)
    text = "read each folder, or pattern such as frame_%%04d.png, as one video of so many pictures a second"
    videos.add_argument("--fps", type=checked(_read_rate), help=text)
    text = "write NAME.preview.jpg, so many frames as they would be, and no video"
    videos.add_argument("--preview", type=checked(whole_number(1, 100)), metavar="N", help=text)
    text = "go on where the same command was interrupted, with the same options"
    videos.add_argument("--resume", action="store_true", help=text)
    text = "such as libx264, libx265, libsvtav1, libvpx-vp9, h264_nvenc (the usual one of the output's format)"
    videos.add_argument("--encoder", help=text)
    text = "as the encoder counts it, less is better and larger (near to what the eye sees)"
    videos.add_argument("--quality", type=checked(whole_number(0, 255)), metavar="N", help=text)
    add_tracking(videos)


def add_range(parser: "argparse._ActionsContainer") -> None:
    """Add ``--start`` and ``--end``."""
    for name, which in (("--start", "first"), ("--end", "last")):
        text = f"time of the {which} frame, in seconds or as H:MM:SS, from the beginning of the video"
        parser.add_argument(name, type=checked(read_time), metavar="TIME", help=text)


def add_tracking(parser: "argparse._ActionsContainer") -> None:
    """Add the options that say how faces are followed."""
    text = "look for faces in every N-th frame at least, and follow them between (by their motion and size)"
    parser.add_argument("--detect-every", type=checked(whole_number(1, 1000)), metavar="N", help=text)
    text = "how much the places of faces are smoothed over time, 0 to 1 (0.5)"
    parser.add_argument("--smooth", type=checked(number(0, 1)), help=text)
    text = "find the faces of each frame alone, as in a picture: slower, and a face may change who it becomes"
    parser.add_argument("--no-tracking", action="store_true", help=text)


def check_videos(options: argparse.Namespace, *, has_videos: bool, has_numbered: bool = False) -> None:
    """Check that options make sense with what is swapped.

    Raises:
        UsageError: One of videos is there without a video, one of pictures with one, or two contradict each other.
    """
    chosen = [name for name in _OPTIONS if getattr(options, name.replace("-", "_")) not in (None, False)]
    if chosen and not has_videos:
        raise UsageError(f"--{chosen[0]}: expected a video among the targets, seen none; leave it out")
    if options.fps and not has_numbered:
        raise UsageError("--fps: expected a folder of numbered pictures, or their pattern, seen neither; leave it out")
    if has_videos and options.dry_run:
        raise UsageError("--dry-run: expected pictures alone, seen a video; --preview N swaps a few of its frames")
    if has_videos and options.compare and not options.preview:
        raise UsageError("--compare: expected pictures alone, seen a video; it goes with --preview N")


def tracking_of(options: argparse.Namespace) -> "Tracking":
    """Return how faces are followed.

    Raises:
        UsageError: They aren't, and how they are was chosen.
    """
    from morphstream.face.track import DEFAULT_TRACKING, Tracking

    if options.no_tracking and (options.detect_every or options.smooth is not None):
        raise UsageError("--no-tracking: expected it alone, seen it with --detect-every or --smooth")
    smooth = DEFAULT_TRACKING.smooth if options.smooth is None else options.smooth
    return Tracking(detect_every=options.detect_every, smooth=smooth, is_on=not options.no_tracking)


def range_of(options: argparse.Namespace) -> tuple[Fraction | None, Fraction | None]:
    """Return the times of ``--start`` and ``--end``.

    Raises:
        UsageError: The end isn't after the start.
    """
    start, end = options.start, options.end
    if end is not None and end <= (start or 0):
        raise UsageError(f"--end: expected a time after {float(start or 0):g} s, seen {float(end):g} s")
    return start, end


def read_time(text: str) -> Fraction:
    """Return a time in seconds, such as 90, 1:30 or 0:01:30.250, as it is written.

    Raises:
        ValueError: It is none.
    """
    found = _CLOCK.fullmatch(text)
    if not found or (found[2] and Fraction(found[3]) >= 60) or (found[1] and int(found[2]) >= 60):
        raise ValueError(f"expected seconds, or H:MM:SS, such as 90 or 0:01:30.5, seen {text!r}")
    return (int(found[1] or 0) * 60 + int(found[2] or 0)) * 60 + Fraction(found[3])


def _read_rate(text: str) -> Fraction:
    is_rate = re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6}|/[1-9][0-9]{0,5})?", text)
    if not is_rate or not 0 < Fraction(text) <= _MOST_RATE:
        raise ValueError(f"expected pictures a second, such as 25, 29.97 or 30000/1001, seen {text!r}")
    return Fraction(text)


def most_pixels(options: argparse.Namespace) -> int:
    """Return the limit of one frame's pixels: where none was chosen that of videos, which is lower than a picture's."""
    from morphstream.media.video.open import MAX_PIXELS

    return MAX_PIXELS if options.max_pixels == MAX_PICTURE_PIXELS else int(options.max_pixels)


def video_options_of(options: argparse.Namespace, *, is_numbered: bool) -> "VideoOptions":
    """Return how a video is read and written.

    Raises:
        UsageError: The end isn't after the start.
        VideoError: There is no such encoder, or PyAV is missing.
    """
    from morphstream.media.video.encoders import Encoding
    from morphstream.media.video.swap_video import VideoOptions

    start, end = range_of(options)
    return VideoOptions(
        encoding=Encoding(options.encoder, options.quality),
        start=start,
        end=end,
        overwrite=options.overwrite,
        resume=options.resume,
        max_pixels=most_pixels(options),
        fps=options.fps if is_numbered else None,
    )


def share_cores() -> None:
    """Have OpenCV run in a quarter of the cores at most, as frames are read, searched, drawn and written at once.

    Its threads that have nothing to do spin, and take time from those that are at other frames.
    """
    import cv2

    from morphstream.session.load import usable_cores

    cv2.setNumThreads(min(cv2.getNumThreads(), max(1, usable_cores() // _AT_ONCE)))


def sheet_of(job: "Job") -> Path:
    """Return where the contact sheet of a video is written."""
    return job.beside("preview", ".jpg")


@contextmanager
def shown(
    what: str, clock: Callable[[], float] = time.monotonic, line: Callable[[str], None] = show_line
) -> "Iterator[Callable[[Progress], None]]":
    """Yield a function that shows how far a video is, ten times a second at most; at the end the line is removed."""
    last_s = -_EACH_S

    def show(progress: "Progress") -> None:
        nonlocal last_s
        if (now_s := clock()) - last_s >= _EACH_S:
            last_s = now_s
            line(f"{what}: {words_of(progress)}")

    try:
        yield show
    finally:
        line("")


def words_of(progress: "Progress") -> str:
    """Return how far a video is: ``frame 120 of 300 (40 %), 38.2 frames/s, 0:05 left``."""
    words = [f"frame {progress.frames}"]
    if progress.total:
        words[0] += f" of {progress.total} ({min(100 * progress.frames // progress.total, 100)} %)"
    words.append(f"{progress.fps:.1f} frames/s")
    if progress.left_s is not None:
        words.append(f"{clock_of(progress.left_s)} left")
    return ", ".join(words)


def clock_of(seconds: float, *, digits: int = 0) -> str:
    """Return seconds as ``M:SS`` or ``H:MM:SS``, with so many digits behind the point."""
    minutes, rest = divmod(round(seconds, digits), 60)
    hours, minutes = divmod(int(minutes), 60)
    width = digits + 3 if digits else 2
    return f"{f'{hours}:{minutes:02}' if hours else minutes}:{rest:0{width}.{digits}f}"
