"""A swapper whose frames are counted and timed."""

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from morphstream.face.mask import Masks
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame
from morphstream.health.metrics import Metrics


class Swaps(Protocol):
    """What finds and swaps faces, as `FaceSwapper` does."""

    def detect(self, frame: Frame) -> list[Face]:
        """Return the faces of a frame, the surest first."""
        ...

    def swap(
        self,
        frame: Frame,
        identity: Identity | Mapping[int, Identity],
        faces: Sequence[Face] | None = None,
        *,
        masks: Masks | None = None,
        pixel_boost: int | None = None,
    ) -> Frame:
        """Return a new frame with faces swapped."""
        ...


class Metered:
    """Swaps as a swapper does, and counts; the swapper stays its owner's, to use beside it and to close."""

    def __init__(self, swapper: Swaps, metrics: Metrics) -> None:
        self._swapper, self._metrics = swapper, metrics

    def swap(
        self,
        frame: Frame,
        identity: Identity | Mapping[int, Identity],
        faces: Sequence[Face] | None = None,
        *,
        masks: Masks | None = None,
        pixel_boost: int | None = None,
    ) -> Frame:
        """Return a new frame with faces swapped, counted with the time it took; what fails isn't counted.

        Args:
            frame: As `FaceSwapper.swap` takes it.
            identity: So, too.
            faces: So, too; None to detect them, within the time that is counted.
            masks: So, too.
            pixel_boost: So, too.

        Raises:
            TypeError: As `FaceSwapper.swap`.
            ValueError: So, too.
            NoEngineError: So, too.
            SessionError: So, too.
        """
        start = time.perf_counter()
        faces = self._swapper.detect(frame) if faces is None else faces
        swapped = self._swapper.swap(frame, identity, faces, masks=masks, pixel_boost=pixel_boost)
        seconds = time.perf_counter() - start
        places = range(len(faces))
        count = sum(place in places for place in identity) if isinstance(identity, Mapping) else len(faces)
        self._metrics.count_frame(seconds, faces=count)
        return swapped
