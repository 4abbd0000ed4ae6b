"""A metered swapper does what the swapper does, and counts the frames and faces that it swapped."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from morphstream.artifact.errors import SessionError
from morphstream.face.mask import Masks
from morphstream.face.swapper import FaceSwapper
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame
from morphstream.health.metered import Metered, Swaps
from morphstream.health.metrics import Metrics
from morphstream.store.store import Store
from tests.face import ASTRONAUT, astronaut_bgr, identity_of, noise
from tests.health import number

IDENTITY = identity_of([1.0])


class PlayedSwapper:
    """Sees three faces everywhere; turns a frame over, and notes what it is given."""

    def __init__(self) -> None:
        self.given: list[object] = []

    def detect(self, frame: Frame) -> list[Face]:
        """Return three faces."""
        return [ASTRONAUT] * (3 if frame.ndim else 0)

    def swap(
        self,
        frame: Frame,
        identity: Identity | Mapping[int, Identity],
        faces: Sequence[Face] | None = None,
        *,
        masks: Masks | None = None,
        pixel_boost: int | None = None,
    ) -> Frame:
        """Turn a frame over; an empty one is refused."""
        if not frame.size:
            raise SessionError("no")
        self.given += [identity, faces, masks, pixel_boost]
        return frame[::-1]


def counts(metrics: Metrics) -> tuple[float, ...]:
    text = metrics.text()
    return tuple(number(text, name) for name in ("frames_total", "faces_total", "frame_seconds_count"))


def test_frames_and_the_faces_that_were_swapped_are_counted() -> None:
    metrics, swapper, frame = Metrics(CollectorRegistry()), PlayedSwapper(), noise(4, 4)
    metered = Metered(swapper, metrics)
    assert (metered.swap(frame, IDENTITY) == frame[::-1]).all()
    assert counts(metrics) == (1, 3, 1)
    metered.swap(frame, IDENTITY, [ASTRONAUT])
    assert counts(metrics) == (2, 4, 2)
    metered.swap(frame, {0: IDENTITY, 2: IDENTITY, 7: IDENTITY})
    assert counts(metrics) == (3, 6, 3)
    metered.swap(frame, IDENTITY, [])
    assert counts(metrics) == (4, 6, 4)


def test_what_is_asked_for_reaches_the_swapper() -> None:
    swapper, masks, faces = PlayedSwapper(), Masks(feather=0.1), [ASTRONAUT]
    Metered(swapper, Metrics(CollectorRegistry())).swap(noise(4, 4), IDENTITY, faces, masks=masks, pixel_boost=256)
    assert swapper.given == [IDENTITY, faces, masks, 256]


def test_what_fails_is_raised_and_not_counted() -> None:
    metrics = Metrics(CollectorRegistry())
    with pytest.raises(SessionError):
        Metered(PlayedSwapper(), metrics).swap(np.zeros((0, 0, 3), np.uint8), IDENTITY)
    assert counts(metrics) == (0, 0, 0)


def test_the_real_swapper_can_be_metered(booted: Store) -> None:
    metrics, frame = Metrics(CollectorRegistry()), astronaut_bgr()
    with FaceSwapper.open(booted, threads=1) as swapper:
        swaps: Swaps = swapper
        identity = swapper.identify(frame)
        assert (Metered(swaps, metrics).swap(frame, identity) == swapper.swap(frame, identity)).all()
    assert counts(metrics) == (1, 1, 1)
    assert number(metrics.text(), "frame_seconds_sum") > 0
