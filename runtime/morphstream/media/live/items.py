"""What goes through a live input or output: frames and sound, each with its time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from morphstream.frame import Frame

SOUND_RATE = 48_000
SOUND_LAYOUT, SOUND_FORMAT = "stereo", "s16"  # as FFmpeg names them
TICKS = 1_000_000  # a second, as times are rounded to


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveFrame:
    """A frame of an input.

    Attributes:
        frame: ``(H, W, 3)`` uint8 BGR, upright; nobody else's.
        time: In seconds of the input's timeline, later than the one before.
        arrived: When it came, by `time.monotonic`.
    """

    frame: Frame
    time: Fraction
    arrived: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sound:
    """A piece of sound.

    Attributes:
        samples: ``(N, 2)`` int16, left and right, `SOUND_RATE` a second; not modified.
        time: Of the first sample, in seconds on the same timeline as frames.
    """

    samples: npt.NDArray[np.int16]
    time: Fraction

    @property
    def end(self) -> Fraction:
        """When it is over, in seconds."""
        return self.time + Fraction(len(self.samples), SOUND_RATE)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture as a feed reads it: its time in seconds by the feed's own clock, and what makes a frame of it."""

    time: Fraction
    to_frame: Callable[[], Frame]


def clock_time() -> Fraction:
    """Return this machine's clock in seconds, for pictures that come without a time."""
    return Fraction(round(time.monotonic() * TICKS), TICKS)
