"""Take a video's frames through the steps of a swap and an encoder, part by part.

Convention: at the first frame of a part the tracker, the masks and the encoder begin from what is saved, so that a run
that was killed and resumed has the frames of one that wasn't.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

from morphstream.closing import Closing
from morphstream.face.types import FoundFaces
from morphstream.frame import Frame, Timed
from morphstream.media.video.encoders import Encoder
from morphstream.media.video.packets import PacketFile
from morphstream.media.video.parts import Finished, Parts, Tally
from morphstream.media.video.picture import VideoFrame
from morphstream.media.video.read import VideoSource
from morphstream.media.video.write import PictureEncoder


class Tracker(Protocol):
    """Follows the faces of a stream's frames; a `FaceTracker` is one."""

    def follow(self, frame: Frame, time: Fraction) -> FoundFaces:
        """Return the next frame with its faces, at its time in seconds."""
        ...

    def save(self) -> bytes:
        """Return all that the next frames depend on."""
        ...

    def restore(self, data: bytes) -> None:
        """Go on from what was saved."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VideoSteps:
    """What is done with each frame of a video.

    Attributes:
        tracker: Finds its faces and says who they become.
        swap: Draws them.
        clear: Forgets what `swap` knows of the frames before.
        recipe: What decides the frames, in words; a run is resumed with the same alone.
    """

    tracker: Tracker
    swap: Callable[[FoundFaces], Frame]
    clear: Callable[[], None]
    recipe: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A frame of a video with its faces.

    Attributes:
        source: As it was read.
        found: The faces, and who they become.
        begins_part: Whether it is the first frame of a part.
        saved: What the tracker knew before it, at the first frame of a part that isn't this run's first.
    """

    source: VideoFrame
    found: FoundFaces
    begins_part: bool
    saved: bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class Swapped:
    """A frame of a video with its faces, and as it is drawn."""

    of: Found
    frame: Frame


def frames_after(video: VideoSource, finished: Sequence[Finished]) -> Iterator[Timed[VideoFrame]]:
    """Yield the frames of a video behind its finished parts, with their numbers in the whole video.

    Args:
        video: Which begins at the last frame of the finished parts, or before; errors as of it.
        finished: The parts.
    """
    first, last_pts = (finished[-1].tally.frames, finished[-1].last_pts) if finished else (0, None)
    behind = (
        frame for frame in iter(video.read, None) if last_pts is None or (frame.value.picture.pts or 0) > last_pts
    )
    for index, frame in enumerate(behind, first):
        yield Timed(value=replace(frame.value, index=index), index=index, time=frame.time)


def steps_in_parts(
    steps: VideoSteps, first: int, frames_of_a_part: int
) -> tuple[Callable[[VideoFrame], Found], Callable[[Found], Swapped]]:
    """Return the steps of a stream, which begin anew at the first frame of each part.

    Args:
        steps: What they do with each frame.
        first: Number of the run's first frame.
        frames_of_a_part: How many a part has.
    """

    def follow(source: VideoFrame) -> Found:
        begins_part = source.index % frames_of_a_part == 0
        saved = steps.tracker.save() if begins_part and source.index > first else None
        found = steps.tracker.follow(source.frame, source.time)
        return Found(source=source, found=found, begins_part=begins_part, saved=saved)

    def draw(found: Found) -> Swapped:
        if found.begins_part:
            steps.clear()
        return Swapped(found, steps.swap(found.found) if found.found.assignment else found.source.frame)

    return follow, draw


class PartSink(Closing):
    """Encodes frames in parts.

    Attributes:
        tally: What came of all frames so far, also of those before this run.
    """

    def __init__(self, parts: Parts, encoder: Encoder, video: VideoSource, on_frame: Callable[[Tally], object]) -> None:
        """Begin behind the finished parts; `on_frame` is called after each frame."""
        self._parts, self._encoder, self._video, self._on_frame = parts, encoder, video, on_frame
        self.tally = parts.finished[-1].tally if parts.finished else Tally()
        self._lost_before, self._last_pts = self.tally.lost, 0
        self._part: tuple[PictureEncoder, PacketFile] | None = None

    def write(self, frame: Timed[Swapped]) -> None:
        """Encode the next frame; errors as of `PictureEncoder`."""
        drawn, found = frame.value, frame.value.of.found
        if drawn.of.saved is not None:
            self.finish_part(drawn.of.saved)
        if self._part is None:
            self._part = PictureEncoder(self._encoder, self._video.info), self._parts.begin()
        encoder, file = self._part
        picture = drawn.of.source.with_frame(drawn.frame)
        self._last_pts = picture.pts or 0
        file.write(encoder.encode(picture))
        self.tally = Tally(
            frames=self.tally.frames + 1,
            faces=max(self.tally.faces, len(found.faces)),
            swapped=self.tally.swapped + bool(found.assignment),
            tracks=self.tally.tracks.union(found.tracks[index] for index in found.assignment if found.tracks),
            lost=self._lost_before + self._video.lost,
        )
        self._on_frame(self.tally)

    def finish_part(self, saved: bytes = b"") -> None:
        """Finish the part at hand, if there is one, with what the tracker knows behind it; errors as of `write`."""
        if self._part:
            self.end_part()
            self.tally = replace(self.tally, lost=self._lost_before + self._video.lost)
            self._parts.finish(self.tally, self._last_pts, saved)

    def end_part(self) -> None:
        """Write out the part at hand, which isn't finished by that; errors as of `write`."""
        if self._part:
            encoder, file = self._part
            file.write(encoder.flush())
            self.close()

    def close(self) -> None:
        """Close the part at hand as it is."""
        if self._part:
            self._part[1].close()
            self._part = None
