"""Steps of a stream whose frames are counted and timed."""

import time
from collections.abc import Callable

from morphstream.face.types import FoundFaces
from morphstream.frame import Frame

_Measured = tuple[FoundFaces, float]  # with the seconds that finding them took


def metered(
    steps: tuple[Callable[[Frame], FoundFaces], Callable[[FoundFaces], Frame]],
    count_frame: Callable[[float, int], object],
) -> tuple[Callable[[Frame], _Measured], Callable[[_Measured], Frame]]:
    """Return two steps that do as those given, and count each frame that went through both.

    Args:
        steps: As of `SwapPipeline.steps`.
        count_frame: Called in the second step's thread with the seconds that the two took, without the time between
            them, and the number of faces to swap; such as `Metrics.count_frame`. Not called for a frame that fails.
    """
    find, swap = steps

    def timed_find(frame: Frame) -> _Measured:
        start = time.perf_counter()
        found = find(frame)
        return found, time.perf_counter() - start

    def timed_swap(measured: _Measured) -> Frame:
        (found, seconds), start = measured, time.perf_counter()
        swapped = swap(found)
        count_frame(seconds + time.perf_counter() - start, len(found.assignment))
        return swapped

    return timed_find, timed_swap
