"""Steps of a stream whose frames are counted and timed."""

import time
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Assigned(Protocol):
    """Found faces, as `FoundFaces` is."""

    @property
    def assignment(self) -> Sized:
        """The faces that will be swapped."""
        ...


A = TypeVar("A")
Found = TypeVar("Found", bound=Assigned)
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class _Measured(Generic[Found]):
    """Found faces, and the seconds that finding them took."""

    found: Found
    seconds: float


def metered(
    steps: tuple[Callable[[A], Found], Callable[[Found], B]], count_frame: Callable[[float, int], object]
) -> tuple[Callable[[A], _Measured[Found]], Callable[[_Measured[Found]], B]]:
    """Return two steps that do as those given, and count each frame that went through both.

    Args:
        steps: One finds the faces of a frame, the other swaps them, as those of a `SwapPipeline`.
        count_frame: Called after both, in the second's thread, with the seconds that the two took together, without
            the time between them, and the number of faces to swap; such as `Metrics.count_frame`. A frame on which a
            step fails isn't counted.
    """
    find, swap = steps

    def timed_find(value: A) -> _Measured[Found]:
        start = time.perf_counter()
        found = find(value)
        return _Measured(found, time.perf_counter() - start)

    def timed_swap(measured: _Measured[Found]) -> B:
        start = time.perf_counter()
        swapped = swap(measured.found)
        count_frame(measured.seconds + time.perf_counter() - start, len(measured.found.assignment))
        return swapped

    return timed_find, timed_swap
