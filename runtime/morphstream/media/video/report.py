"""How far the swap of a video is, and what came of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a video is.

    Attributes:
        frames: Written so far.
        total: Of all; None if it isn't known.
        fps: Frames a second, of this run.
        left_s: Seconds until the last one; None if it isn't known.
    """

    frames: int
    total: int | None
    fps: float
    left_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoReport:
    """What came of a video.

    Attributes:
        target: The video.
        output: What was written.
        frames: How many it has.
        faces: Most in one frame.
        swapped: Frames in which a face was swapped.
        tracks: How many faces, each over time, were swapped.
        lost: Pictures of the source that were damaged or missing.
        encoder: With its settings, in words.
        seconds: That it took, in this run.
        notes: What isn't as one may expect, in words.
    """

    target: str
    output: str
    frames: int
    faces: int
    swapped: int
    tracks: int
    lost: int
    encoder: str
    seconds: float
    notes: tuple[str, ...] = ()
