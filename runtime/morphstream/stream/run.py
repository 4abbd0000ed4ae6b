"""Run frames from a source through steps to a sink.

Conventions: the source and each step have a thread of their own, the sink has the caller's, and a bounded queue joins
each to the next. Frames keep their order, and each keeps its index and time. At most one frame in each thread and
`queue_size` in each queue are in memory.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Literal, Never, Protocol, cast, get_args

from morphstream.artifact.errors import FrameError, MorphstreamError
from morphstream.frame import Frame, Timed
from morphstream.stream.queue import BoundedQueue

Step = Callable[[Never], object]  # of any value; the caller sees to it that a step accepts what the one before returns
Late = Literal["wait", "drop"]
_Queue = BoundedQueue[Timed[object]]


class FrameSource(Protocol):
    """Where frames come from: a picture, a video, a camera."""

    def read(self) -> Timed[Frame] | None:
        """Return the next frame, None at the end.

        A run that stops early waits for a read to return: a source that may wait for ever needs a time limit.
        """
        ...


class FrameSink(Protocol):
    """Where frames go."""

    def write(self, frame: Timed[Frame]) -> None:
        """Write the next frame."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """What a run did.

    Attributes:
        read: Frames that the source returned: those written, and those dropped.
        written: Frames that the sink got.
        dropped: Frames that were late, and made room for newer ones.
    """

    read: int
    written: int
    dropped: int


def run(
    source: FrameSource, steps: Sequence[Step], sink: FrameSink, *, queue_size: int = 2, late: Late = "wait"
) -> StreamReport:
    """Read frames until a source ends, apply steps to each, and write them.

    Every error stops all threads, and is raised here once they have ended; so does KeyboardInterrupt here. Frames
    before the one that failed are written first, and of several errors the earliest frame's is raised.

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
    if queue_size < 1 or late not in get_args(Late):
        raise ValueError(f"expected queue_size of 1 or more, late of {get_args(Late)}, seen {queue_size} and {late!r}")
    queues, written = [_Queue(queue_size, drops_oldest=late == "drop") for _ in (source, *steps)], 0
    with closing(_frames(source, steps, queues)) as frames:
        for frame in frames:
            with _naming(frame):
                sink.write(frame)
            written += 1
    dropped = sum(queue.dropped for queue in queues)
    return StreamReport(read=written + dropped, written=written, dropped=dropped)


def _frames(
    source: FrameSource, steps: Sequence[Step], queues: Sequence[_Queue]
) -> Generator[Timed[Frame], None, None]:
    """Yield the frames that come out of the last queue; no thread is left when this ends or is closed."""
    threads = [_Thread("source", _read(source), queues[0])]
    for inlet, step, outlet in zip(queues, steps, queues[1:], strict=False):
        threads.append(_Thread(f"step-{len(threads)}", _apply(step, inlet), outlet))
    try:
        for thread in threads:
            thread.start()
        yield from cast("Iterable[Timed[Frame]]", queues[-1])
    finally:
        for queue in queues:
            queue.end(discard=True)
        for thread in threads:
            if thread.is_alive():
                thread.join()
    for thread in reversed(threads):  # the later in the row, the earlier its frame
        if thread.error:
            raise thread.error


class _Thread(threading.Thread):
    """Puts items into a queue, ends it, and keeps the error that stopped the items."""

    def __init__(self, name: str, items: Iterable[Timed[object]], outlet: _Queue) -> None:
        super().__init__(name=f"morphstream-{name}", daemon=True)  # at a second Ctrl-C the process can still end
        self.error: BaseException | None = None
        self._items, self._outlet = items, outlet

    def run(self) -> None:
        try:
            for item in self._items:
                if not self._outlet.put(item):
                    break
        except BaseException as error:  # noqa: BLE001  # raised in the caller's thread
            self.error = error
        finally:
            self._outlet.end()


def _read(source: FrameSource) -> Iterator[Timed[object]]:
    last: Timed[Frame] | None = None
    while True:
        with _naming(last, "after "):
            frame = source.read()
        if frame is None:
            return
        yield (last := frame)


def _apply(step: Step, items: Iterable[Timed[object]]) -> Iterator[Timed[object]]:
    apply = cast("Callable[[object], object]", step)
    for item in items:
        with _naming(item):
            value = apply(item.value)
        yield Timed(value=value, index=item.index, time=item.time)


@contextmanager
def _naming(frame: Timed[object] | None, where: str = "") -> Iterator[None]:
    """Name a frame in errors; before the first there is none to name."""
    try:
        yield
    except MorphstreamError as error:
        if frame is None:
            raise
        raise FrameError(f"{where}{frame}: {error}") from error
    except Exception as error:
        if frame is not None:
            error.add_note(f"{where}{frame}")
        raise
