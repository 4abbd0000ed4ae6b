"""Run frames from a source through steps to a sink.

Conventions: the source and each step have a thread of their own with a bounded queue of what it made, the sink has the
caller's. Frames keep their order, and each keeps its index and time. At most one frame in each thread and `queue_size`
in each queue are in memory. An error comes where the next frame would, so that those before it are written first.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, cast, get_args

from morphstream.artifact.errors import FrameError, MorphstreamError
from morphstream.frame import Timed

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)
Step = Callable[..., object]  # of one value; the caller sees to it that a step accepts what the one before returns
Late = Literal["wait", "drop"]
_Frames = Generator[Timed[object], None, None]


class FrameSource(Protocol[T_co]):
    """Where frames come from: a picture, a video, a camera."""

    def read(self) -> Timed[T_co] | None:
        """Return the next frame, None at the end; a run that stops early waits for it to return."""
        ...


class IterableSource(Generic[T]):
    """The frames of any iterable as a source."""

    def __init__(self, frames: Iterable[Timed[T]]) -> None:
        self._frames = iter(frames)

    def read(self) -> Timed[T] | None:
        """Return the next frame, None at the end; errors as of the iterable."""
        return next(self._frames, None)


class FrameSink(Protocol[T_contra]):
    """Where frames go."""

    def write(self, frame: Timed[T_contra]) -> None:
        """Write the next frame."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """How many frames the source returned, the sink got, and were late and made room for newer ones."""

    read: int
    written: int
    dropped: int


def run(
    source: FrameSource[object], steps: Sequence[Step], sink: FrameSink[T], *, queue_size: int = 2, late: Late = "wait"
) -> StreamReport:
    """Read frames until a source ends, apply steps to each, and write them.

    Every error stops all threads, and is raised here once they have ended; so does KeyboardInterrupt here. Of several
    errors the earliest frame's is raised.

    Args:
        source: Read in a thread of its own.
        steps: From a frame to a frame, by way of any values; each is called in a thread of its own.
        sink: Written to in the caller's thread.
        queue_size: Most frames that wait between two threads, 1 or more.
        late: What a full queue does: let the thread before it ``wait``, or ``drop`` its oldest frame, for live streams.

    Raises:
        FrameError: The source, a step or the sink refused a frame; it says which.
        ValueError: The queue size is below 1, or `late` is unknown.
        Exception: Anything else that one of them raised, with a note that says at which frame.
    """
    first, last = _connect(source, steps, queue_size, late)
    written = 0
    with closing(iter(last)) as frames:
        for frame in cast("Iterable[Timed[T]]", frames):
            with naming(frame):
                sink.write(frame)
            written += 1
    return StreamReport(read=first.made, written=written, dropped=first.made - written)


def flow(
    source: FrameSource[object], steps: Sequence[Step], *, queue_size: int = 2, late: Late = "wait"
) -> Generator[Timed[object], None, None]:
    """Yield what `run` writes, to a caller who takes frames in place of a sink; arguments and errors as of `run`.

    The threads run from the first frame that is asked for until the iterator ends or is closed.
    """
    _, last = _connect(source, steps, queue_size, late)
    with closing(iter(last)) as frames:
        yield from frames


def check_queue(queue_size: int, late: Late) -> None:
    """Refuse, by a ValueError, a queue that holds nothing, and a word that isn't of `Late`."""
    if queue_size < 1 or late not in get_args(Late):
        raise ValueError(f"expected queue_size of 1 or more, late of {get_args(Late)}, seen {queue_size} and {late!r}")


def _connect(
    source: FrameSource[object], steps: Sequence[Step], queue_size: int, late: Late
) -> "tuple[_Ahead, _Ahead]":
    """Return the first and the last of a source and its steps, each with a thread to start."""
    check_queue(queue_size, late)
    first = last = _Ahead("source", _read(source), queue_size, late)
    for number, step in enumerate(steps, 1):
        last = _Ahead(f"step-{number}", _apply(step, last), queue_size, late)
    return first, last


class _Ahead:
    """Makes frames in a thread of its own, ahead of the thread that iterates over them."""

    def __init__(self, name: str, frames: _Frames, queue_size: int, late: Late) -> None:
        self.made = 0
        self._frames, self._has_ended = frames, False
        self._most = queue_size if late == "wait" else math.inf  # frames in the queue for which the next one waits
        self._error: BaseException | None = None
        self._queue = deque[Timed[object]](maxlen=queue_size)  # a full one drops its oldest frame for a new one
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._make, name=f"morphstream-{name}")
        self._thread.daemon = True  # at a second Ctrl-C the process can still end

    def __iter__(self) -> _Frames:
        """Yield the frames, then raise the error that ended them; at the end and when closed, end the thread."""
        try:
            self._thread.start()  # in here, as Ctrl-C may interrupt it
            while (frame := self._take()) is not None:
                yield frame
        finally:
            self._end()
            with suppress(RuntimeError):  # a thread that couldn't start, or was interrupted before it ran
                self._thread.join()
        if self._error:
            raise self._error

    def _make(self) -> None:
        try:
            with closing(self._frames) as frames:
                for frame in frames:
                    with self._changed:
                        self._changed.wait_for(lambda: self._has_ended or len(self._queue) < self._most)
                        if self._has_ended:
                            break
                        self._queue.append(frame)
                        self.made += 1
                        self._changed.notify()
        except BaseException as error:  # noqa: BLE001  # raised where the frames are read
            self._error = error
        finally:
            self._end()

    def _take(self) -> Timed[object] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._has_ended)
            self._changed.notify()
            return self._queue.popleft() if self._queue else None

    def _end(self) -> None:
        with self._changed:
            self._has_ended = True
            self._changed.notify()


def _read(source: FrameSource[object]) -> _Frames:
    frame = source.read()
    while frame is not None:
        yield frame
        with naming(frame, "after "):
            frame = source.read()


def _apply(step: Step, made: _Ahead) -> _Frames:
    with closing(iter(made)) as frames:
        for frame in frames:
            with naming(frame):
                value = step(frame.value)
            yield Timed(value=value, index=frame.index, time=frame.time)


@contextmanager
def naming(frame: Timed[object], where: str = "") -> Iterator[None]:
    """Name a frame in errors: `FrameError` for a refusal, a note for anything else."""
    try:
        yield
    except MorphstreamError as error:
        raise FrameError(f"{where}{frame}: {error}") from error
    except Exception as error:
        error.add_note(f"{where}{frame}")
        raise
