"""Run a live input through a stream that swaps faces, to outputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from morphstream.frame import Frame
from morphstream.media.live.input import LiveInput
from morphstream.media.live.output import LiveOutput


class Swapped(Protocol):
    """A frame that a stream returns, and its time."""

    @property
    def frame(self) -> Frame:
        """``(H, W, 3)`` uint8 BGR."""
        ...

    @property
    def time(self) -> Fraction:
        """As it was given."""
        ...


class Swapping(Protocol):
    """A stream of frames whose faces are swapped, as `morphstream.worker` has it."""

    def push(self, frame: Frame, time: Fraction) -> bool:
        """Give a frame; an older one that waits is dropped."""
        ...

    def pull(self, *, timeout_s: float | None = None) -> Swapped | None:
        """Return the next swapped frame; None at the end, or after a time."""
        ...

    def end(self) -> None:
        """Say that no more frames come."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReport:
    """What came to an output.

    Attributes:
        name: Of the output.
        written: Frames.
        dropped: Frames that were late for it.
        reconnects: How many times its connection was lost or refused.
        error: What ended it, in one line; None for nothing.
    """

    name: str
    written: int
    dropped: int
    reconnects: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveReport:
    """What came of a live run, so far or in all.

    Attributes:
        seconds: How long it took.
        frames: How many came from the input.
        swapped: How many of them came back from the stream.
        dropped: How many made room for newer ones.
        fps: Swapped frames a second, of the last ones.
        p50_s: Median time from a frame's arrival until it was given to the outputs, in seconds, of the last 1000.
        p95_s: Its 95th percentile.
        p99_s: Its 99th percentile.
        reconnects: How many times the input was lost or refused.
        outputs: What came to each output.
        stopped_by: The number of the signal that ended it; None for an end of its own.
    """

    seconds: float
    frames: int
    swapped: int
    dropped: int
    fps: float
    p50_s: float
    p95_s: float
    p99_s: float
    reconnects: int
    outputs: tuple[OutputReport, ...]
    stopped_by: int | None = None


def run_live(
    source: LiveInput,
    stream: Swapping,
    outputs: Sequence[LiveOutput],
    *,
    mark: Callable[[Frame], object] | None = None,
    on_state: Callable[[str], object] = bool,
    on_report: Callable[[LiveReport], object] = bool,
) -> LiveReport:
    """Swap what an input gives until it ends, the last output does, or SIGINT or SIGTERM arrives; then write the ends.

    Sound goes to the outputs together with the frame that was shown with it. In the main thread a signal ends the run
    as the input's end does: the report says so, and the caller raises it again with `signal.raise_signal`.

    Args:
        source: Closed at the end.
        stream: Ended at the end.
        outputs: Closed at the end.
        mark: Called with each swapped frame, to draw on it.
        on_state: Called in this thread with a line for each change of what the input or an output does.
        on_report: Called in this thread once a second with what came of it so far.

    Raises:
        VideoError: The input can't be read, or every output failed.
        OSError: Every output failed, the last one by an error of the system.
        FrameError: The stream refused a frame.
    """
    raise NotImplementedError(source, stream, outputs, mark, on_state, on_report)
