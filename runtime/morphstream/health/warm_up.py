"""Swap a face in a frame once, as every frame will be, so that readiness means that frames are swapped."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from morphstream.face.swap import TEMPLATE
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame, Timed
from morphstream.health.before import FoundFaces
from morphstream.health.metered import metered
from morphstream.stream.run import run

_SIDE = 256  # pixels, of the frame and its face


class _GreyFrame:
    """A source of one grey frame, and a sink that ignores it."""

    def __init__(self) -> None:
        self._unread = [np.full((_SIDE, _SIDE, 3), 128, np.uint8)]

    def read(self) -> Timed[Frame] | None:
        return Timed(value=self._unread.pop(), index=0, time=Fraction(0)) if self._unread else None

    def write(self, frame: Timed[Frame]) -> None:
        pass


def warm_up(
    steps: tuple[Callable[[Frame], FoundFaces], Callable[[FoundFaces], Frame]],
    count_frame: Callable[[float, int], object],
) -> None:
    """Run a grey frame through a pipeline's two steps, and swap a face in it whatever was found.

    Args:
        steps: As of `SwapPipeline`; run in threads, as those of every frame.
        count_frame: As of `metered`.

    Raises:
        FrameError: A step refused the frame.
    """
    find, swap = steps
    identity = Identity(embedding=np.eye(1, 512, dtype=np.float32)[0])
    face = Face(box_xyxy=np.array([0.0, 0.0, _SIDE, _SIDE]), points5=TEMPLATE * _SIDE, score=1.0)

    def find_one(frame: Frame) -> FoundFaces:
        return replace(find(frame), faces=[face], assignment={0: identity})

    run(frame := _GreyFrame(), metered((find_one, swap), count_frame), frame)
