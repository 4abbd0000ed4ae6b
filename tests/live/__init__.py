"""Tests of the live swap: a worker without engines, a browser without a window."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import numpy as np

from morphstream.artifact.errors import FrameError, NoFaceError, UseError
from morphstream.face.analyser import FaceAnalyser
from morphstream.face.assign import Wanted, assign
from morphstream.face.look import Look
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame
from morphstream.media.live.items import LiveFrame
from morphstream.worker.models import ModelSwitch
from morphstream.worker.queues import Swapped
from morphstream.worker.stats import StreamStats
from tests.face import identity_of

TRACK = 7  # of the one face that a mirroring stream sees, in the upper left quarter
SEEN = identity_of([1])
TOKEN = "a-token-for-the-tests"  # noqa: S105


def swapped_of(frame: Frame, found: FoundFaces, time: float | Fraction = 0) -> Swapped:
    """Return a frame as a stream returns it, which took no time."""
    seconds = dict.fromkeys(("waited_s", "found_s", "drawn_s", "latency_s", "inference_s"), 0.0)
    return Swapped(frame=frame, time=time, index=0, found=found, **seconds)


class MirroringStream:
    """A stream without engines: it returns frames upside down, the newest first, and notes what it is asked."""

    def __init__(self, name: str, wanted: Wanted, look: Look) -> None:
        self.name, self.wanted, self.look = name, wanted, look
        self.switches = list[ModelSwitch]()
        self.error: FrameError | None = None
        self._changed, self._frames = threading.Condition(), deque[Frame](maxlen=1)
        self._is_closed, self._pushed = False, 0

    @property
    def has_ended(self) -> bool:
        """Whether it is closed, or broke."""
        return self._is_closed or self.error is not None

    @property
    def stats(self) -> StreamStats:
        """How many frames there were, and round numbers."""
        return StreamStats(
            name=self.name,
            pushed=self._pushed,
            swapped=self._pushed,
            dropped=3,
            waiting=1,
            fps=25.04,
            p50_s=0.04,
            p95_s=0.05,
            p99_s=0.06,
            find_s=0.01,
            draw_s=0.02,
            inference_s=0.025,
            host_s=0.005,
            swap_model="mirror",
            faces=1,
        )

    def push(self, frame: Frame, _: float, /) -> bool:
        """Keep a frame in place of the one before."""
        with self._changed:
            self._frames.append(frame)
            self._pushed += 1
            self._changed.notify_all()
        return not self._is_closed

    def pull(self, *, timeout_s: float | None = None, newest: bool = False) -> Swapped | None:
        """Return the newest frame upside down."""
        assert newest
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._is_closed or self.error, timeout_s)
            if self.error:
                raise self.error
            if self._is_closed or not self._frames:
                return None
            frame = self._frames.popleft()
        height, width = frame.shape[:2]
        face = Face(box_xyxy=np.array([0, 0, width / 2, height / 2]), points5=np.zeros((5, 2)), score=1)
        assignment = assign([face], self.wanted, lambda: [SEEN])
        found = FoundFaces(frame=frame, faces=[face], assignment=assignment, tracks=[TRACK])
        return swapped_of(np.ascontiguousarray(frame[::-1]), found)

    def change(self, *, wanted: Wanted | None = None, look: Look | None = None) -> None:
        """Note what is wanted; a pixel boost of 384 doesn't fit."""
        if look and look.pixel_boost == 384:
            raise ValueError("pixel boost: expected a multiple of 256 pixels, seen 384; choose another, or none")
        self.wanted, self.look = self.wanted if wanted is None else wanted, look or self.look

    def switch(self, swap_model: str) -> ModelSwitch:
        """Note a switch, which stays where it is."""
        self.switches.append(ModelSwitch(swap_model))
        return self.switches[-1]

    def identify(self, track: int) -> Identity:
        """Return who the one face is."""
        if track != TRACK:
            raise NoFaceError(f"track {track}: expected one that is seen, seen {TRACK}; choose another face")
        return SEEN

    def fail(self, line: str) -> None:
        """Break the stream."""
        with self._changed:
            self.error = FrameError(line)
            self._changed.notify_all()

    def close(self) -> None:
        """End it."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


@dataclass
class PlayedAnalyser:
    """Finds as many faces in a picture as it is told, each larger than the one before."""

    faces: int = 1
    asked: list[tuple[Frame, Look]] = field(default_factory=list)

    def find(self, frame: Frame, look: Look) -> FoundFaces:
        """Return the faces."""
        self.asked.append((frame, look))
        box = np.array([0.0, 0, 10, 10])
        faces = [Face(box_xyxy=box * number, points5=np.zeros((5, 2)), score=1) for number in range(1, self.faces + 1)]
        return FoundFaces(frame=frame, faces=faces, assignment={})

    def identify(self, frame: Frame, face: Face) -> Identity:
        """Return somebody by how large the face is and how bright the picture."""
        return identity_of([0, float(face.area), float(frame.mean()) + 1])


@dataclass
class PlayedPipeline:
    """What streams begin with."""

    played: PlayedAnalyser = field(default_factory=PlayedAnalyser)
    look: Look = field(default_factory=Look)
    swap_model: str = "mirror"

    @property
    def analyser(self) -> FaceAnalyser:
        """What finds faces in pictures."""
        return cast("FaceAnalyser", self.played)


@dataclass
class MirroringWorker:
    """Opens mirroring streams, so many at once."""

    pipeline: PlayedPipeline = field(default_factory=PlayedPipeline)
    most: int = 100
    streams: list[MirroringStream] = field(default_factory=list)

    @property
    def stream(self) -> MirroringStream:
        """The one that was opened last."""
        return self.streams[-1]

    def open(self, name: str, wanted: Wanted) -> MirroringStream:
        """Open a stream."""
        opened = [stream for stream in self.streams if not stream.has_ended]
        if len(opened) >= self.most or name in [stream.name for stream in opened]:
            raise UseError(f"worker: expected {self.most} streams at most, seen another")
        self.streams.append(MirroringStream(name, wanted, self.pipeline.look))
        return self.stream


@dataclass
class PlayedInput:
    """An input that gives one frame over and over, until it ends or breaks."""

    frame: Frame
    state: str = "live"
    has_ended: bool = False
    error: Exception | None = None
    reads: int = 0

    def read(self, timeout_s: float | None = None, /) -> LiveFrame | None:
        """Return the frame, 50 times a second."""
        time.sleep(min(0.02, timeout_s or 1))
        self.reads += 1
        if self.error:
            raise self.error
        return None if self.has_ended else LiveFrame(frame=self.frame, time=Fraction(self.reads), arrived=0)


def halves(top: int, bottom: int, *, size_wh: tuple[int, int] = (160, 120)) -> Frame:
    """Return a frame with two grey halves."""
    width, height = size_wh
    frame = np.full((height, width, 3), top, np.uint8)
    frame[height // 2 :] = bottom
    return frame
