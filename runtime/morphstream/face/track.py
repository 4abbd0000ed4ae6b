"""Tracks: one face over time, its points smoothed, and the look that is due; pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """How the faces of a video or a stream are tracked.

    Attributes:
        detect_every: The detector looks at every n-th frame, 1 or more, and wherever a track is in doubt; None for as
            often as motion, size and confidence ask for.
        smooth: How much points are smoothed, 0..1; 0 for not at all.
        is_on: Whether faces are tracked at all; else each frame is found and assigned alone, as a picture is.

    Raises:
        ValueError: A value is none of these.
    """

    detect_every: int | None = None
    smooth: float = 0.5
    is_on: bool = True

    def __post_init__(self) -> None:
        if self.detect_every is not None and self.detect_every < 1:
            raise ValueError(f"tracking: expected to detect at every frame or fewer, seen {self.detect_every}")
        if not 0 <= self.smooth <= 1:
            raise ValueError(f"tracking: expected to smooth by 0..1, seen {self.smooth}")


DEFAULT_TRACKING = Tracking()
