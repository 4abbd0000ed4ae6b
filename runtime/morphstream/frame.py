"""A frame: what it is, the check of one that comes from outside, and a frame with its time."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational, Real
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
T_co = TypeVar("T_co", covariant=True)
Time = TypeVar("Time", bound=float | Fraction)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timed(Generic[T_co]):
    """A frame, or what is made of one, with its place in time.

    Attributes:
        value: Such as a `Frame`.
        index: Which frame of its source it is, 0 or more.
        time: When it is shown, in seconds from the source's origin; exact, as 1001/30000 is.
    """

    value: T_co
    index: int
    time: Fraction

    def __post_init__(self) -> None:
        if not (isinstance(self.index, int) and isinstance(self.time, Fraction)):
            raise TypeError(f"expected index: int and time: Fraction, seen {self.index!r} and {self.time!r}")
        if self.index < 0:
            raise ValueError(f"expected a frame's index of 0 or more, seen {self.index}")

    def __str__(self) -> str:
        return f"frame {self.index} ({float(self.time):.3f} s)"


def numbered(frames: Iterable[tuple[Frame, Time]], first: int = 0) -> Iterator[Timed[tuple[Frame, Time]]]:
    """Yield pairs of a frame and its time in seconds, each at that time, with numbers from `first` on.

    Raises:
        TypeError: One is no such pair.
        ValueError: A time is no finite number.
    """
    for index, given in enumerate(frames, first):
        if not (isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Real)):
            seen = [type(one).__name__ for one in given] if isinstance(given, tuple) else type(given).__name__
            raise TypeError(f"frame {index}: expected a pair (frame, seconds), seen {seen}")
        if not math.isfinite(given[1]):
            raise ValueError(f"frame {index}: expected a time in seconds, seen {given[1]}")
        exact = given[1] if isinstance(given[1], Rational) else float(given[1])
        yield Timed(value=given, index=index, time=Fraction(exact))


def check_frame(frame: Frame) -> None:
    """Check that an array is a frame.

    Raises:
        TypeError: It isn't an array of uint8.
        ValueError: It isn't ``(H, W, 3)`` with at least one pixel.
    """
    if not isinstance(frame, np.ndarray):
        raise TypeError(f"expected a frame, seen {type(frame).__name__}, as cv2.imread returns if it can't read a file")
    if frame.dtype != np.uint8:
        raise TypeError(f"expected a frame of uint8, seen {frame.dtype}; scale it to 0..255")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ValueError(f"expected a BGR frame (H, W, 3), seen shape {frame.shape}; convert it first")
