"""Swap the faces of one picture after another, with the same engines."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from morphstream.artifact.errors import FrameError, ImageError, MorphstreamError, NoFaceError
from morphstream.cli.targets import Job
from morphstream.media.encode import check_fits
from morphstream.media.image import FrameList, PictureSource, check_output, write_picture
from morphstream.media.picture import Picture, frame_of
from morphstream.media.read import read_picture
from morphstream.stream.run import run as run_stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from morphstream.face.types import FoundFaces
    from morphstream.frame import Frame
    from morphstream.media.credentials import Signing

_STDERR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureReport:
    """What came of a picture.

    Attributes:
        target: The picture.
        output: What was written, or would be; None if it failed.
        frames: How many it has.
        faces: Found in all of them.
        looks: How often the detector looked at a frame, at most; once where the first look is enough.
        swapped: Of these, also where nothing is written.
        detect_s: Seconds to find them.
        swap_s: Seconds to swap them.
        notes: What was left out, in words.
        error: Why it failed.
    """

    target: str
    output: str | None = None
    frames: int = 0
    faces: int = 0
    looks: int = 0
    swapped: int = 0
    detect_s: float = 0.0
    swap_s: float = 0.0
    notes: Sequence[str] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What is read and written.

    Attributes:
        max_pixels: Of a picture, as in `read_picture`.
        overwrite: Whether a picture that is there is replaced.
        compare: Whether before and after are written, too.
        is_dry: Whether nothing is written.
        signing: What is signed with, and of which sources; None for nothing.
    """

    max_pixels: int
    overwrite: bool = False
    compare: bool = False
    is_dry: bool = False
    signing: "Signing | None" = None

    def check(self, job: Job, inputs: Sequence[Path]) -> None:
        """Check that a picture can be written where a job says; errors as of `check_output`."""
        for path in [job.output, *([job.beside("compare")] if self.compare else [])]:
            check_output(path, overwrite=self.overwrite, inputs=inputs)


class PictureSwapper:
    """Swaps faces of pictures by the two steps of a pipeline."""

    def __init__(
        self,
        find: "Callable[[Frame], FoundFaces]",
        swap: "Callable[[FoundFaces], Frame]",
        writing: Writing,
        why_nobody: "Callable[[FoundFaces], str]",
    ) -> None:
        """Start with the steps of `SwapPipeline.steps`, and what says why no face of a frame is swapped."""
        self._steps, self._writing, self._why_nobody = (find, swap), writing, why_nobody

    def swap(self, job: Job) -> PictureReport:
        """Swap the faces of a picture and write it.

        Raises:
            MorphstreamError: It can't be read, shows no face, doesn't fit its format or can't be swapped.
            OSError: It can't be written.
        """
        with hushed():
            picture = read_picture(job.target, max_pixels=self._writing.max_pixels)
        try:
            check_fits(job.output.suffix.lower(), picture)
        except ImageError as error:
            raise ImageError(f"{job.output}: {error}") from None
        count, frames = StepCount(*self._steps, is_dry=self._writing.is_dry), FrameList()
        try:
            run_stream(PictureSource(picture), [count.find, count.swap], frames)
        except FrameError as error:  # it names a frame, and a picture has one
            if isinstance(error.__cause__, MorphstreamError):
                raise error.__cause__ from None
            raise
        if not count.wanted and count.last:
            raise NoFaceError(f"{job.target}: {self._why_nobody(count.last)}")
        notes = [] if self._writing.is_dry else self._write(job, picture, frames.frames)
        if unchanged := count.wanted - count.swapped:
            notes.append(f"of {unchanged} faces no pixel changed; choose other --masks, --regions or --feather")
        return PictureReport(
            target=str(job.target),
            output=str(job.output),
            frames=len(picture.pixels),
            faces=count.faces,
            looks=count.looks,
            swapped=count.swapped,
            detect_s=round(count.detect_s, 3),
            swap_s=round(count.swap_s, 3),
            notes=[*picture.notes, *notes],
        )

    def _write(self, job: Job, picture: Picture, frames: "Sequence[Frame]") -> list[str]:
        overwrite, signing = self._writing.overwrite, self._writing.signing
        signing = signing and signing.of(target=job.target)
        notes = write_picture(job.output, picture, frames, overwrite=overwrite, signing=signing)
        if self._writing.compare:
            before, after = frame_of(picture.pixels[0]), frames[0]
            pixels = np.hstack([picture.pixels[0], picture.pixels[0]])
            both = Picture(pixels=[pixels], bits=picture.bits, metadata=picture.metadata, style=picture.style)
            sides = [np.hstack([before, after])]
            write_picture(job.beside("compare"), both, sides, overwrite=overwrite, signing=signing)
        return notes


@contextmanager
def hushed() -> Iterator[None]:
    """Send nowhere what libraries print of a damaged picture, past Python: its refusal says it in a line.

    What Python prints, as when a signal arrives, goes where it went.
    """
    with ExitStack() as on_exit:
        with suppress(OSError):  # a process without stderr
            kept = on_exit.enter_context(os.fdopen(os.dup(_STDERR), "w", errors="backslashreplace", buffering=1))
            on_exit.enter_context(redirect_stderr(kept))
            nowhere = os.open(os.devnull, os.O_WRONLY)
            on_exit.callback(os.close, nowhere)
            on_exit.callback(os.dup2, kept.fileno(), _STDERR)
            os.dup2(nowhere, _STDERR)
        yield


class StepCount:
    """The two steps, timed, with the faces of all frames counted."""

    def __init__(
        self, find: "Callable[[Frame], FoundFaces]", swap: "Callable[[FoundFaces], Frame]", *, is_dry: bool
    ) -> None:
        """Start with the steps of `SwapPipeline.steps`, of which a dry run does the first alone."""
        self._find, self._swap, self._is_dry = find, swap, is_dry
        self.faces = self.wanted = self.swapped = self.looks = 0
        self.last: FoundFaces | None = None
        self.detect_s = self.swap_s = 0.0

    def find(self, frame: "Frame") -> "FoundFaces":
        """Find the faces of a frame."""
        started = time.perf_counter()
        found = self._find(frame)
        self.detect_s += time.perf_counter() - started
        self.faces += len(found.faces)
        self.looks = max(self.looks, found.looks)
        self.last = found
        return found

    def swap(self, found: "FoundFaces") -> "Frame":
        """Swap those that are assigned."""
        self.wanted += len(found.assignment)
        if self._is_dry:
            self.swapped = self.wanted
            return found.frame
        started = time.perf_counter()
        frame = self._swap(found)
        self.swap_s += time.perf_counter() - started
        boxes = (found.faces[index].box_xyxy for index in found.assignment)
        self.swapped += sum(_has_changed(found.frame, frame, box) for box in boxes)
        return frame


def _has_changed(before: "Frame", after: "Frame", box_xyxy: "npt.NDArray[np.float64]") -> bool:
    """Return whether a pixel of a face changed."""
    left, top, right, bottom = np.maximum(box_xyxy, 0).astype(int)
    part = slice(top, bottom + 1), slice(left, right + 1)
    return not np.array_equal(before[part], after[part])
