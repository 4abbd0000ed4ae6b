"""Tests of `morphstream.stream`, and a source and a sink that are played."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from morphstream.frame import Frame, Timed


def timed(index: int) -> Timed[Frame]:
    """Return a frame whose pixel is its index, of a video with 25 frames a second."""
    return Timed(value=np.full((1, 1, 3), index, np.uint8), index=index, time=Fraction(index, 25))


def ignore(_: int) -> None:
    """Do nothing."""


class PlayedSource:
    """Gives frames 0, 1, ... of a number; before each it calls a function with its index, as before the end."""

    def __init__(self, count: int, before: Callable[[int], object] = ignore) -> None:
        self._count, self._before = count, before
        self.read_count = 0

    def read(self) -> Timed[Frame] | None:
        """Return the next frame."""
        self._before(self.read_count)
        if self.read_count == self._count:
            return None
        self.read_count += 1
        return timed(self.read_count - 1)


class KeptFrames:
    """Keeps what it is given; before each frame it calls a function with its index."""

    def __init__(self, before: Callable[[int], object] = ignore) -> None:
        self._before = before
        self.frames: list[Timed[Frame]] = []

    def write(self, frame: Timed[Frame]) -> None:
        """Keep a frame."""
        self._before(frame.index)
        self.frames.append(frame)

    @property
    def indices(self) -> list[int]:
        """The indices of the frames that came."""
        return [frame.index for frame in self.frames]
