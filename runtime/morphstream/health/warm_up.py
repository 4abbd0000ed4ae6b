"""Swap a face in a frame once, as every frame will be, so that readiness means that frames are swapped."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Protocol

import numpy as np

from morphstream.face.swap import TEMPLATE
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame, Timed
from morphstream.health.before import FoundFaces
from morphstream.health.metered import metered
from morphstream.stream.run import run

_SIDE = 256  # pixels, of the frame and its face


class Pipeline(Protocol):
    """What finds and swaps faces, as a `SwapPipeline` does."""

    def steps(self, wanted: Identity) -> tuple[Callable[[Frame], FoundFaces], Callable[[FoundFaces], Frame]]:
        """Return what finds the faces of a frame, and what gives each of them an identity."""
        ...


class _GreyFrame:
    """A source of one grey frame, and a sink that ignores what it is given."""

    def __init__(self) -> None:
        self._is_read = False

    def read(self) -> Timed[Frame] | None:
        is_read, self._is_read = self._is_read, True
        grey = np.full((_SIDE, _SIDE, 3), 128, np.uint8)
        return None if is_read else Timed(value=grey, index=0, time=Fraction(0))

    def write(self, frame: Timed[Frame]) -> None:
        pass


def warm_up(pipeline: Pipeline, count_frame: Callable[[float, int], object]) -> None:
    """Run a frame through a pipeline's steps, with a face in it whatever was found, so that every engine runs.

    Args:
        pipeline: Its steps are run in threads, as `run` does.
        count_frame: As of `metered`.

    Raises:
        FrameError: A step refused the frame.
    """
    identity = Identity(embedding=np.eye(1, 512, dtype=np.float32)[0])
    face = Face(box_xyxy=np.array([0.0, 0.0, _SIDE, _SIDE]), points5=TEMPLATE * _SIDE, score=1.0)
    find, swap = pipeline.steps(identity)

    def find_one(frame: Frame) -> FoundFaces:
        return replace(find(frame), faces=[face], assignment={0: identity})

    run(frame := _GreyFrame(), metered((find_one, swap), count_frame), frame)
