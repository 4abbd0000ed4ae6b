"""Run a live input through a stream that swaps faces, to outputs."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from morphstream.closing import Closing
from morphstream.frame import Frame
from morphstream.media.live.input import LiveInput
from morphstream.media.live.items import Sound
from morphstream.media.live.output import LiveOutput, line_of_error
from morphstream.program import deferred_signals
from morphstream.worker.queues import Swapped

_LOOK_S = 0.1  # how often the run looks whether it is to end
_REPORT_S = 1.0
_MOST_HELD_S = 3  # of sound whose frame doesn't come
_LATENCIES, _FRAMES = 1000, 100  # that figures are made of


class Swapping(Protocol):
    """A stream of frames whose faces are swapped, such as `SwapStream`."""

    @property
    def has_ended(self) -> bool:
        """Whether no more frames come back."""
        ...

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
        dropped: How many didn't: they made room for newer ones, or the run ended before them.
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
    with deferred_signals() as signals, ExitStack() as stack:
        run = stack.enter_context(_Run(source, stream, outputs))
        run.start()
        while not signals and run.step(mark):
            run.say(on_state, on_report)
        if not signals:
            run.flush()
    run.say(on_state, on_report)
    run.check()
    return run.report(signals[0] if signals else None)


class _Run(Closing):
    """A live run in hand: what moves from the input to the stream in a thread, and from there to outputs in another."""

    def __init__(self, source: LiveInput, stream: Swapping, outputs: Sequence[LiveOutput]) -> None:
        self._source, self._stream, self._outputs = source, stream, outputs
        self._began = self._reported = time.monotonic()
        self._held, self._states = deque[Sound](), dict[str, str]()
        self._arrived = deque[tuple[Fraction, float]](maxlen=_LATENCIES)  # of frames that were pushed
        self._latencies, self._ready = deque[float](maxlen=_LATENCIES), deque[float](maxlen=_FRAMES)
        self._swapped, self._shown = 0, Fraction(-1)  # how many frames came back, and the time of the last
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._push, name="morphstream-live", daemon=True)

    def start(self) -> None:
        """Begin to give the input's frames to the stream."""
        self._thread.start()

    def close(self) -> None:
        """End all that was begun."""
        self._source.close()
        self._stream.end()
        if self._thread.ident:
            self._thread.join()
        for output in self._outputs:
            output.close()

    def step(self, mark: Callable[[Frame], object] | None) -> bool:
        """Give the next swapped frame to the outputs, and sound with it; return whether there may be more."""
        swapped = self._stream.pull(timeout_s=_LOOK_S)
        if swapped is not None:
            if mark:
                mark(swapped.frame)
            if not self._swapped:  # by now it is known whether there is sound
                for output in self._outputs:
                    output.start(has_sound=self._source.has_sound)
            self._count(Fraction(swapped.time))
            for output in self._outputs:
                output.write(swapped.frame, self._shown)
        self._held.extend(self._source.read_sound())
        while self._held and self._is_due(self._held[0]):
            self._give(self._held.popleft())
        has_output = not self._outputs or not all(output.has_ended for output in self._outputs)
        return has_output and not (swapped is None and self._stream.has_ended)

    def flush(self) -> None:
        """Give the sound that is left, at the end of all frames."""
        for sound in (*self._held, *self._source.read_sound()):
            self._give(sound)
        self._held.clear()

    def say(self, on_state: Callable[[str], object], on_report: Callable[[LiveReport], object]) -> None:
        """Say what changed of states, and once a second what came of the run."""
        places: list[LiveInput | LiveOutput] = [self._source, *self._outputs]
        for place in places:
            if (state := place.state) != self._states.get(place.name):
                self._states[place.name] = state
                on_state(f"{place.name}: {state}")
        if (now := time.monotonic()) - self._reported >= _REPORT_S:
            self._reported = now
            on_report(self.report(None))

    def check(self) -> None:
        """Raise what ended the input, or the last of the outputs if all failed."""
        errors = [output.error for output in self._outputs]
        if error := self._error or (errors[-1] if errors and all(errors) else None):
            raise error

    def report(self, stopped_by: int | None) -> LiveReport:
        """Return what came of the run so far."""
        quantiles = np.quantile(self._latencies or [0.0], (0.5, 0.95, 0.99)).round(4).tolist()
        now = time.monotonic()
        return LiveReport(
            seconds=round(now - self._began, 3),
            frames=self._source.frames,
            swapped=self._swapped,
            dropped=max(0, self._source.frames - self._swapped),
            fps=round(len(self._ready) / (now - self._ready[0] + 1e-9), 2) if len(self._ready) > 1 else 0.0,
            p50_s=quantiles[0],
            p95_s=quantiles[1],
            p99_s=quantiles[2],
            reconnects=self._source.reconnects,
            outputs=tuple(_report_of(output) for output in self._outputs),
            stopped_by=stopped_by,
        )

    def _push(self) -> None:
        try:
            while frame := self._source.read():
                self._arrived.append((frame.time, frame.arrived))
                self._stream.push(frame.frame, frame.time)
        except Exception as error:  # noqa: BLE001  # raised at the end of the run
            self._error = error
        self._stream.end()

    def _is_due(self, sound: Sound) -> bool:
        """Return whether sound that is held back goes with a frame that was shown, or waited long enough."""
        return sound.time <= self._shown or self._held[-1].end - sound.time > _MOST_HELD_S

    def _give(self, sound: Sound) -> None:
        for output in self._outputs:
            output.write_sound(sound)

    def _count(self, shown: Fraction) -> None:
        now = time.monotonic()
        self._swapped, self._shown = self._swapped + 1, shown
        self._ready.append(now)
        while self._arrived and self._arrived[0][0] <= shown:
            given, arrived = self._arrived.popleft()
            if given == shown:
                self._latencies.append(now - arrived)


def _report_of(output: LiveOutput) -> OutputReport:
    return OutputReport(
        name=output.name,
        written=output.written,
        dropped=output.dropped,
        reconnects=output.reconnects,
        error=line_of_error(output.error) if output.error else None,
    )
