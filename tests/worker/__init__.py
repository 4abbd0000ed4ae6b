"""Tests of `morphstream.worker`, and a pipeline without engines."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack

import numpy as np

from morphstream.artifact.errors import NoEngineError
from morphstream.face.analyser import FaceAnalyser
from morphstream.face.look import Look
from morphstream.face.swap import Swapper
from morphstream.face.swapper import FaceSwapper
from morphstream.face.track import Tracking
from morphstream.frame import Frame
from morphstream.pipeline import SwapPipeline
from morphstream.session.session import Array
from tests.face import CANVAS, MASK_SHAPES, SWAP_SHAPES, PlayedSession, echo, identity_of, scrfd_outputs, visible

OWN, OTHER = "inswapper_128", "hyperswap_1a_256"
ALONE = Tracking(is_on=False)  # each frame is found for itself
SOMEBODY = identity_of([1.0])
WAIT_S = 20


class PlayedPipeline(SwapPipeline):
    """A pipeline whose every frame has one face, and whose swap models invert its colours.

    Attributes:
        sessions: The swap models that were opened, by name, the last of each.
        may_swap: Cleared, it keeps a swap from going on.
        has_begun: Set when a swap has begun that may not go on.
        is_broken: Whether the engine of the usual swap model fails.
        has: Whether a swap model is in the store.
    """

    def __init__(self, installed: Collection[str] = (OTHER,)) -> None:
        self.may_swap, self.has_begun, self.is_broken = threading.Event(), threading.Event(), False
        self.may_swap.set()
        self.has: Callable[[str], bool] = lambda name: name in installed
        self.sessions = dict[str, PlayedSession]()
        outputs = scrfd_outputs((8, 20, 0.9, [2.0, 2.0, 2.0, 2.0]))
        models = {
            "det_10g": PlayedSession({"frame": (1, CANVAS, CANVAS, 3)}, lambda _: outputs),
            "w600k_r50": PlayedSession({"crop": (1, 112, 112, 3)}, _embed),
            "xseg_1": PlayedSession(MASK_SHAPES, visible),
        }
        self.swap_model, self.look = OWN, Look(angles=())
        self.analyser = FaceAnalyser(models.__getitem__)
        self.swapper = FaceSwapper(models.__getitem__, self._opened(OWN))

    def close(self) -> None:
        """Close nothing."""

    def open_swapper(self, swap_model: str) -> tuple[Swapper, ExitStack]:  # type: ignore[override]  # engines are closed
        """Open another swap model, if there is such."""
        if not self.has(swap_model):
            raise NoEngineError(f"{swap_model}: expected an engine, seen none; fetch it")
        engines = ExitStack()
        swapper = self._opened(swap_model)
        engines.callback(self.sessions[swap_model].close)
        return swapper, engines

    def open_models(self, look: Look) -> None:
        """Refuse a look with another occluder."""
        if look.occluder != "xseg_1":
            raise NoEngineError(f"{look.occluder}: expected an engine, seen none; boot again")

    def rows(self, swap_model: str) -> list[int]:
        """Return how many faces each run of a swap model was for."""
        return [len(given["crop"]) for given in self.sessions[swap_model].given]

    def _opened(self, name: str) -> Swapper:
        def swap(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
            if not self.may_swap.is_set():
                self.has_begun.set()
            assert self.may_swap.wait(WAIT_S)
            return {"swapped": np.zeros_like(inputs["crop"])} if self.is_broken else echo(inputs)

        self.sessions[name] = PlayedSession(SWAP_SHAPES, swap)
        return Swapper(self.sessions[name], None)


def _embed(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    return {"embedding": np.ones((len(inputs["crop"]), 512), np.float32)}


def picture(seed: int = 0) -> Frame:
    """Return a frame, (CANVAS, CANVAS, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (CANVAS, CANVAS, 3), np.uint8)


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.001)
