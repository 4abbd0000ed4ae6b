"""Preview the swap of a video: a few of its frames, spread over its length, on one contact sheet."""

import argparse
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np

from morphstream.artifact.errors import VideoError
from morphstream.cli.pictures import PictureReport, StepCount
from morphstream.cli.targets import Job
from morphstream.cli.videos import clock_of, most_pixels, range_of, sheet_of
from morphstream.frame import Frame
from morphstream.media.image import write_image
from morphstream.media.sheet import draw_grid
from morphstream.media.video.read import VideoSource

if TYPE_CHECKING:
    from morphstream.face.types import FoundFaces
    from morphstream.media.credentials import Signing

_WIDTH = 480  # pixels of a frame on the sheet, at most


def preview(
    job: Job,
    find: "Callable[[Frame], FoundFaces]",
    swap: "Callable[[FoundFaces], Frame]",
    options: argparse.Namespace,
    signing: "Signing | None" = None,
) -> PictureReport:
    """Write a contact sheet of swapped frames of a video beside its output, marked as synthetic.

    Args:
        job: The video.
        find: Of `SwapPipeline.steps`: each frame is found and assigned alone, as a picture is.
        swap: The other step.
        options: Of ``morphstream swap``.
        signing: What the sheet is signed with.

    Raises:
        MorphstreamError, OSError: The video can't be read, or has no length; or the sheet can't be written.
    """
    count, cells, labels = StepCount(find, swap, is_dry=False), list[Frame](), list[str]()
    for when in _times(job, options):
        with _open(job, options, when) as source:
            timed = source.read()
        if timed:
            after = _small(count.swap(count.find(before := timed.value.frame)))
            cells.append(np.hstack([_small(before), after]) if options.compare else after)
            labels.append(clock_of(float(when), digits=1))
    if not cells:
        raise VideoError(f"{job.target}: expected frames from --start to --end, seen none; name other times")
    write_image(output := sheet_of(job), draw_grid(cells, labels), overwrite=options.overwrite, signing=signing)
    return PictureReport(
        target=str(job.target),
        output=str(output),
        frames=len(cells),
        faces=count.faces,
        looks=count.looks,
        swapped=count.swapped,
        detect_s=round(count.detect_s, 3),
        swap_s=round(count.swap_s, 3),
    )


def _times(job: Job, options: argparse.Namespace) -> list[Fraction]:
    """Return times in the middle of equal parts of what is chosen of a video."""
    start, end = range_of(options)
    with _open(job, options) as source:
        length = source.info.duration_s
    if end is None and length is None:
        raise VideoError(f"{job.target}: expected a length to choose frames by, seen none; say --end")
    start = start or Fraction(0)
    last = min(Fraction(each) for each in (end, length) if each is not None)
    if last <= start:
        raise VideoError(f"{job.target}: expected pictures from {float(start):g} s on, seen none; start earlier")
    return [start + (last - start) * (2 * place + 1) / (2 * options.preview) for place in range(options.preview)]


def _open(job: Job, options: argparse.Namespace, start: Fraction | None = None) -> VideoSource:
    fps = options.fps if job.is_numbered else None
    return VideoSource(job.target, start=start, max_pixels=most_pixels(options), fps=fps)


def _small(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    scale = min(1.0, _WIDTH / width)
    size_wh = round(width * scale), max(round(height * scale), 1)
    small: Frame = cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return small
