"""Swap the faces of a video, and write it with its sound."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from morphstream.artifact.errors import NoFaceError, VideoError
from morphstream.artifact.regular_file import real_path
from morphstream.closing import Closing
from morphstream.media.credentials import FORMATS as SIGNED
from morphstream.media.credentials import Signing
from morphstream.media.output import check_place, keep_owner_and_mode
from morphstream.media.provenance import MARK
from morphstream.media.video.encoders import CONTAINERS, USUAL, Encoding, choose_encoder, fit_of
from morphstream.media.video.in_parts import PartSink, VideoSteps, frames_after, steps_in_parts
from morphstream.media.video.join import Film, join
from morphstream.media.video.marks import mark_file, mark_of, marked
from morphstream.media.video.numbered import state_of
from morphstream.media.video.open import MAX_PIXELS
from morphstream.media.video.packets import first_time
from morphstream.media.video.parts import Parts, Tally
from morphstream.media.video.read import VideoSource
from morphstream.media.video.report import Progress, VideoReport
from morphstream.media.video.streams import OtherStreams
from morphstream.program import deferred_signals
from morphstream.stream.run import IterableSource, run


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOptions:
    """How a video is read and written.

    Attributes:
        encoding: How it is encoded.
        start: What is shown before is left out, in seconds from the video's beginning; None for nothing.
        end: What is shown from here on is left out; None for nothing.
        overwrite: Whether a file that is there is replaced, even if it isn't ours.
        resume: Whether a run that was stopped or killed goes on; without one it begins.
        max_pixels: Most of a frame; None for the usual number.
        fps: Frames a second of numbered pictures; None for a video's file.
        signing: What it is signed with, and of which sources it is made; None for nothing.
        part_frames: Frames of a part, which is what is done anew at most after a run was killed.
    """

    encoding: Encoding = USUAL
    start: Fraction | None = None
    end: Fraction | None = None
    overwrite: bool = False
    resume: bool = False
    max_pixels: int | None = None
    fps: Fraction | None = None
    signing: Signing | None = None
    part_frames: int = 300


def check_video_output(path: Path, *, overwrite: bool = False, inputs: Sequence[Path] = ()) -> None:
    """Check that a video can be written under a name; arguments as of `check_place`.

    Raises:
        VideoError: It can't.
    """
    check_place(path, what="a video", formats=tuple(CONTAINERS), refusal=VideoError, overwrite=overwrite, inputs=inputs)


def swap_video(
    steps: VideoSteps,
    source: Path,
    output: Path,
    options: VideoOptions | None = None,
    progress: Callable[[Progress], object] = bool,
) -> VideoReport:
    """Swap the faces of a video, and write it with its sound and all else that the new file can hold.

    At SIGINT or SIGTERM in the main thread what is done so far is written, unless another file is in its place, and
    then the signal has its usual effect. What is finished stays beside the output until the whole video is written.

    Args:
        steps: What is done with each frame.
        source: A video, or numbered pictures.
        output: Where it is written; never seen half-written. Its suffix, one of `CONTAINERS`, says what it becomes.
        options: How it is read and written; None for the usual.
        progress: Called in this thread after each frame.

    Raises:
        VideoError: The source can't be read, the output can't hold it, or the run to be resumed was another one.
        NoFaceError: No face of the whole video was swapped; nothing is written.
        FrameError: A step refused a frame.
        OSError: The output can't be written.
    """
    started = time.monotonic()
    with _Work(steps, source, output, options or VideoOptions()) as work:
        try:
            signals = work.swap(progress)
            work.write(is_whole=not signals)
        except OSError as error:
            error.filename = error.filename or str(output)
            raise
    if signals:
        try:
            signal.raise_signal(signals[0])  # which now has its usual effect
        except BaseException as error:
            error.add_note(work.note_of_stop)
            raise
    return work.report(time.monotonic() - started)


_GO_ON = "go on with --resume"


class _StoppedError(Exception):
    """A signal arrived, and the frame in hand is written."""


class _Work(Closing):
    """A video that is being made: what is open, and what came of it so far."""

    note_of_stop = ""

    def __init__(self, steps: VideoSteps, source: Path, output: Path, options: VideoOptions) -> None:
        check_video_output(output, overwrite=options.overwrite, inputs=[source])
        self._steps, self._source, self._options, self._output = steps, source, options, output
        self._place, self._suffix = real_path(output), output.suffix.lower()
        self._limit = options.max_pixels or MAX_PIXELS
        with ExitStack() as stack:
            others = OtherStreams(source, self._suffix, max_pixels=self._limit, fps=options.fps)
            self._others = stack.enter_context(others)
            self._video = stack.enter_context(self._open(options.start))
            self.encoder = choose_encoder(options.encoding, self._suffix, self._video.info)
            self._parts = stack.enter_context(Parts(self._place, self._job(), resume=options.resume))
            if finished := self._parts.finished:
                last = finished[-1].last_pts * self._video.info.time_base
                self._video = stack.enter_context(self._open(last - self._video.info.start))
                if finished[-1].state:
                    steps.tracker.restore(finished[-1].state)
            self.tally = finished[-1].tally if finished else Tally()
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close all; finished parts stay until the whole video is written."""
        self._stack.close()

    def _open(self, start: Fraction | None) -> VideoSource:
        options = self._options
        return VideoSource(self._source, start=start, end=options.end, max_pixels=self._limit, fps=options.fps)

    def _job(self) -> dict[str, str]:
        """Return what decides the frames, in words."""
        options = self._options
        if options.fps is None:
            now = self._source.stat()
            state = f"{now.st_size} bytes and {now.st_mtime_ns} ns"
        else:  # not the folder's state, which the parts of an output in it change
            state = state_of(self._source)
        return {
            "source": f"{self._source.name} of {state}",
            "start": str(options.start),
            "end": str(options.end),
            "fps": str(options.fps),
            "part": str(options.part_frames),
            "encoder": f"{self.encoder}",
            "PyAV": av.__version__,
            **self._steps.recipe,
        }

    def swap(self, progress: Callable[[Progress], object]) -> list[int]:
        """Make the parts that aren't finished; return the signals that stopped it."""
        finished, options = self._parts.finished, self._options
        total = self._video.info.frames_between(options.start, options.end)
        first, began = self.tally.frames, time.monotonic()
        length = options.part_frames if self.encoder.is_joinable else sys.maxsize
        source = IterableSource(frames_after(self._video, finished))

        def on_frame(tally: Tally) -> None:
            self.tally = tally
            fps = (tally.frames - first) / max(time.monotonic() - began, 1e-9)
            left_s = None if total is None else max(0, total - tally.frames) / fps
            progress(Progress(frames=tally.frames, total=total, fps=fps, left_s=left_s))
            if signals:
                raise _StoppedError

        with deferred_signals() as signals, PartSink(self._parts, self.encoder, self._video, on_frame) as sink:
            try:
                run(source, steps_in_parts(self._steps, first, length), sink)
                sink.finish_part()
            except _StoppedError:
                sink.end_part()
            self.tally = sink.tally
        return signals

    def write(self, *, is_whole: bool) -> None:
        """Join the parts; all of them into the output, some into one that isn't there or was made of some before."""
        if is_whole and not self.tally.swapped:
            self._parts.remove()
            seen = f"at most {self.tally.faces} a frame, and none that is asked for; say whom by other rules"
            if not self.tally.faces:
                seen = "none; lower --min-score, or name another"
            raise NoFaceError(f"{self._source}: expected a face to swap in {self.tally.frames} frames, seen {seen}")
        if not is_whole and self._place.exists() and not self._parts.partial.exists():
            self.note_of_stop = f"{self._output}: stays as it was; {_GO_ON}"
            return
        joined = self._parts.folder / f"joined{self._suffix}"
        mark = mark_of(self._source) if self._options.fps is None else MARK
        join(joined, self._suffix, self._film(is_whole=is_whole), self._others, marked(self._others.tags, mark))
        mark_file(joined, mark)
        if signing := self._signing:
            signing.sign_file(joined, self._suffix)
        with joined.open("rb") as file:
            keep_owner_and_mode(file.fileno(), self._place)
        if not is_whole:
            self._parts.partial.touch()
            self.note_of_stop = f"{self._output}: has the first {self.tally.frames} frames; {_GO_ON}"
        joined.replace(self._place)
        if is_whole:
            self._parts.remove()

    @property
    def _signing(self) -> Signing | None:
        """What the file is signed with; None where that isn't asked for, or its format has no place for it."""
        signing = self._options.signing if self._suffix in SIGNED else None
        return signing and signing.of(target=self._source)

    def _film(self, *, is_whole: bool) -> Film:
        """Return the pictures that were encoded, and how the other streams go with them."""
        info, options, parts = self._video.info, self._options, tuple(self._parts.packet_files())
        first = first_time(parts) * fit_of(self.encoder, info).time_base
        is_cut = bool(options.start) or self._suffix == ".gif"
        end = None if options.end is None else info.start + options.end
        if not is_whole:
            end = first + self.tally.frames / info.frame_rate
        origin = first if is_cut else self._others.origin
        return Film(
            info=info, encoder=self.encoder, parts=parts, origin=origin, begin=first if is_cut else None, end=end
        )

    def report(self, seconds: float) -> VideoReport:
        """Return what came of the video."""
        tally = self.tally
        return VideoReport(
            target=str(self._source),
            output=str(self._output),
            frames=tally.frames,
            faces=tally.faces,
            swapped=tally.swapped,
            tracks=len(tally.tracks),
            lost=tally.lost,
            encoder=str(self.encoder),
            seconds=round(seconds, 3),
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        """What isn't as one may expect, in words."""
        notes = [*self._video.notes, *fit_of(self.encoder, self._video.info).notes, *self._others.notes]
        if self._suffix in (".mkv", ".webm") and (self._video.info.time_base * 1000).denominator > 1:
            notes.append(f"its times are whole milliseconds, as a {self._suffix} has no others")
        if self._options.signing and self._suffix not in SIGNED:
            notes.append(f"it isn't signed, as {self._suffix} has no place for that")
        if lost := self._others.lost:
            notes.append(f"packets of sound or subtitles that are damaged, and left out: {lost}")
        return tuple(notes)
