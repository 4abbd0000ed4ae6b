"""What the faults of `bench.live_faults` share: where they are caused, a scripted input, a run, and what is checked."""

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

from bench.clips import clip, write_clip
from morphstream.closing import Closing
from morphstream.face.types import Identity
from morphstream.frame import Frame
from morphstream.live.run import LiveReport, run_live
from morphstream.media.live.input import LiveInput
from morphstream.media.live.items import LiveFrame, Picture, Sound
from morphstream.media.live.output import LiveOutput
from morphstream.media.live.sink import open_output
from morphstream.media.live.source import open_input
from morphstream.worker.worker import SwapWorker

SIZE = (320, 240)
STEP_S, MOST_S = 0.04, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where faults are caused.

    Attributes:
        demo: Folder of the demo: a store, a source picture.
        folder: For files.
        worker: With the kit's models; its downloads come from a folder that isn't there.
        identity: Of the source picture.
    """

    demo: Path
    folder: Path
    worker: SwapWorker
    identity: Identity
    _clips: dict[str, Path] = field(default_factory=dict)

    def clip(self, suffix: str, count: int = 50) -> Path:
        """Return a small clip with sound."""
        name = f"clip-{count}{suffix}"
        if name not in self._clips:
            write_clip(clip("mixed", SIZE, count), self.folder / name)
            self._clips[name] = self.folder / name
        return self._clips[name]


Fault = Callable[[Place], str]


@cache
def frame(index: int = 0, size_wh: tuple[int, int] = SIZE) -> Frame:
    """Return a frame with a face."""
    return clip("mixed", size_wh).frame(index)


def one_line(text: str, *words: str) -> str:
    """Check that a text is one line that has some words, and return it."""
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 1, f"expected one line, seen {text!r}"
    missing = [word for word in words if word not in lines[0]]
    assert not missing, f"expected {missing}, seen {lines[0]!r}"
    return lines[0].strip()


@contextmanager
def later(seconds: float, work: Callable[[], object]) -> Iterator[None]:
    """Do something after a time, in another thread, unless the block ends before."""
    timer = threading.Timer(seconds, work)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


class Frames(Closing):
    """A feed of frames at 25 a second, whose clock and sizes are scripted.

    Attributes:
        has_sound: False.
        is_paced: False.
        is_finite: Whether its end is the end.
    """

    def __init__(
        self,
        count: int,
        *,
        clock: Callable[[int], float] = lambda index: index * STEP_S,
        size_wh: Callable[[int], tuple[int, int]] = lambda _: SIZE,
        wait_s: Callable[[int], float] = lambda _: STEP_S,
        ends_by: Exception | None = None,
    ) -> None:
        self.has_sound, self.is_paced, self.is_finite = False, False, ends_by is None
        self._left, self._clock, self._size, self._wait = iter(range(count)), clock, size_wh, wait_s
        self._error, self._closed = ends_by, threading.Event()

    def close(self) -> None:
        """End a wait."""
        self._closed.set()

    def read(self) -> Picture | Sound | None:
        """Return the next frame."""
        index = next(self._left, None)
        if index is None:
            if self._error:
                raise self._error
            return None
        self._closed.wait(self._wait(index))
        made = frame(index % 50, self._size(index))
        return Picture(Fraction(round(self._clock(index) * 1000), 1000), made.copy)


class Kept(Closing):
    """A sink that keeps the sizes and times of what it is given, and may fail."""

    def __init__(self, fails_after: int = 10**9) -> None:
        self.frames, self._left = list[LiveFrame](), fails_after

    def close(self) -> None:
        """End."""

    def put(self, item: LiveFrame | Sound | None) -> bool:
        """Keep a frame."""
        if isinstance(item, LiveFrame):
            self.frames.append(item)
            if len(self.frames) > self._left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out.mkv")
        return True


def run(
    place: Place, source: LiveInput, outputs: Sequence[LiveOutput] = (), *, seconds: float = MOST_S
) -> tuple[LiveReport, list[str], Kept]:
    """Run an input to its end, or for a time; return the report, the states, and what was shown."""
    kept, states = Kept(), list[str]()
    shown = LiveOutput("kept", lambda _: kept, retries=False)
    with place.worker.open("fault", place.identity) as stream, later(seconds, source.close):
        report = run_live(source, stream, [shown, *outputs], on_state=states.append)
    return report, states, kept


def lived(report: LiveReport, least: int = 10) -> LiveReport:
    """Check that frames came and were swapped."""
    assert report.frames >= least, f"expected {least} frames, seen {report.frames}"
    assert report.swapped > 0, "expected swapped frames, seen none"
    return report


def state(states: Sequence[str], *words: str) -> str:
    """Return the first state that has some words, and check that it is a line."""
    found = next((one for one in states if all(word in one for word in words)), None)
    assert found, f"expected a state with {words}, seen {states}"
    return one_line(found)


def warm_up(place: Place) -> None:
    """Have no fault: a file through all into a file, and another model; opens what stays open, as pools of threads."""
    output = open_output(str(place.folder / "through.mkv"), overwrite=True)
    report, _, _ = run(place, open_input(str(place.clip(".mp4"))), [output])
    lived(report)
    with place.worker.open("warm", {}) as stream:
        stream.switch("none").wait(MOST_S)
