"""What a page needs of a worker and of its streams: `SwapWorker` and `SwapStream`, or what stands in for them."""

from typing import Protocol

from morphstream.face.analyser import FaceAnalyser
from morphstream.face.assign import Wanted
from morphstream.face.look import Look
from morphstream.face.types import Identity
from morphstream.frame import Frame
from morphstream.worker.models import ModelSwitch
from morphstream.worker.queues import Swapped
from morphstream.worker.stats import StreamStats

# ruff: noqa: D102  # as of `SwapStream`


class PageStream(Protocol):
    """A stream of frames that are swapped."""

    @property
    def stats(self) -> StreamStats: ...
    @property
    def has_ended(self) -> bool: ...
    def push(self, frame: Frame, time: float, /) -> bool: ...
    def pull(self, *, timeout_s: float | None = None, newest: bool = False) -> Swapped | None: ...
    def change(self, *, wanted: Wanted | None = None, look: Look | None = None) -> None: ...
    def switch(self, swap_model: str) -> ModelSwitch: ...
    def identify(self, track: int) -> Identity: ...
    def close(self) -> None: ...


class PagePipeline(Protocol):
    """What streams begin with, and what finds the face of a picture."""

    @property
    def analyser(self) -> FaceAnalyser: ...
    @property
    def look(self) -> Look: ...
    @property
    def swap_model(self) -> str: ...


class PageWorker(Protocol):
    """Opens streams."""

    @property
    def pipeline(self) -> PagePipeline: ...
    def open(self, name: str, wanted: Wanted) -> PageStream: ...
