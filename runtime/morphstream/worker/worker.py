"""Swap the frames of several streams with the engines of one pipeline."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from morphstream.artifact.errors import UseError
from morphstream.boot.service import ModelDownloadService
from morphstream.closing import Closing
from morphstream.face.assign import Wanted
from morphstream.face.look import Look
from morphstream.face.track import LIVE_TRACKING, Tracking
from morphstream.pipeline import SwapPipeline
from morphstream.stream.run import Late, naming
from morphstream.worker.models import OpenModel, SwapModels
from morphstream.worker.queues import Found, StreamQueues, Swapped
from morphstream.worker.stats import StreamStats
from morphstream.worker.steps import StreamSteps, draw_all
from morphstream.worker.stream import SwapStream

CountFrame = Callable[[float, int, str], object]
_Work = Sequence[tuple[SwapStream, Found]]
_EARLY = 1.5  # times the mean of finding faces, before the drawer is expected to be free


class SwapWorker(Closing):
    """Swaps the frames of several streams with the engines of one pipeline, each stream in its turn.

    One thread finds the faces of a frame while another swaps those of the frame before, of whichever stream is next.
    Both sleep while there is nothing to do. Swap models are opened once for all streams that use them.

    Attributes:
        pipeline: Whose engines they are.
    """

    def __init__(
        self,
        pipeline: SwapPipeline,
        *,
        downloads: ModelDownloadService | None = None,
        most_streams: int = 8,
        count_frame: CountFrame = lambda *_: None,
    ) -> None:
        """Begin with no stream.

        Args:
            pipeline: Stays open, and without `use`, until the worker is closed; others may call it, too.
            downloads: Fetches swap models that the pipeline's store lacks; None to refuse them. Closed by the caller.
            most_streams: That may be open at once, 1 or more.
            count_frame: Called for each frame with the seconds that its steps took, without the time between them, the
                number of its faces that were swapped, and the name of its stream; such as `Metrics.count_frame`.

        Raises:
            ValueError: `most_streams` is below 1.
        """
        if most_streams < 1:
            raise ValueError(f"worker: expected 1 stream or more, seen {most_streams}")
        self.pipeline, self._most, self._count_frame = pipeline, most_streams, count_frame
        self._models = SwapModels(pipeline, downloads, has_several=most_streams > 1)
        self._lock, self._is_open = threading.Lock(), True
        self._to_find, self._to_draw = threading.Condition(self._lock), threading.Condition(self._lock)
        self._streams = list[SwapStream]()
        self._drawn_at_s = 0.0  # when the drawer is expected to be free; 0 while it is
        self._idle_at_s = 0.0  # when the finder has slept as long as its longest search of late
        steps = {"find": self._find_next, "draw": self._draw_next}
        self._threads = [
            threading.Thread(target=_repeat, args=[step], name=f"morphstream-{name}", daemon=True)
            for name, step in steps.items()
        ]
        for thread in self._threads:
            thread.start()

    @property
    def streams(self) -> Sequence[SwapStream]:
        """The streams that are open."""
        with self._lock:
            return sorted(self._streams, key=lambda stream: stream.name)

    def stats(self) -> list[StreamStats]:
        """Return what each stream has done, for `Metrics.watch`."""
        return [stream.stats for stream in self.streams]

    def open(
        self,
        name: str,
        wanted: Wanted,
        *,
        look: Look | None = None,
        tracking: Tracking = LIVE_TRACKING,
        swap_model: str | None = None,
        late: Late = "drop",
        queue_size: int = 1,
    ) -> SwapStream:
        """Open a stream.

        Args:
            name: Of the stream, which no other open one has; a few that come again, as metrics have it as a label.
            wanted: Who becomes whom, as of `SwapPipeline.stream`.
            look: How they are drawn, its models opened now; None for the look of the pipeline.
            tracking: How faces are followed from frame to frame.
            swap_model: One that is in the store; None for the pipeline's.
            late: Whether frames that come faster than they are swapped are dropped, the oldest first, or wait.
            queue_size: Most frames that wait for an engine, and that wait to be pulled, 1 or more.

        Raises:
            UseError: The worker is closed, has as many streams as it may, or one of that name.
            TypeError: `wanted` has something other than rules and identities.
            ValueError: The queue size is below 1, `late` is unknown, or the pixel boost doesn't fit the swap model.
            NoEngineError: The store lacks a model.
            SessionError: A model can't be opened.
        """
        look, queues = look or self.pipeline.look, StreamQueues(late, queue_size)
        self._check(name)
        self._models.prepare(look)
        with ExitStack() as on_error:
            model = self._models.use(swap_model or self.pipeline.swap_model)
            on_error.callback(self._models.release, model)
            steps = StreamSteps(self.pipeline, model, wanted, look=look, tracking=tracking)
            stream = self._add(name, queues, steps)
            on_error.pop_all()
        return stream

    def _add(self, name: str, queues: StreamQueues, steps: StreamSteps) -> SwapStream:
        stream = SwapStream(
            name,
            queues,
            steps,
            models=self._models,
            lock=self._lock,
            on_push=self._to_find.notify,
            on_pull=self._to_draw.notify,
            forget=self._forget,
        )
        with self._lock:
            self._check(name)
            self._streams.append(stream)
        return stream

    def close(self) -> None:
        """Close every stream, and end the threads once the frames that they are at are done."""
        with self._lock:
            self._is_open = False
            streams = list(self._streams)
            self._to_find.notify()
            self._to_draw.notify()
        for stream in streams:
            stream.close()
        for thread in self._threads:
            thread.join()
        self._models.close()

    def _check(self, name: str) -> None:
        """Refuse a stream that can't be opened."""
        names = [stream.name for stream in self._streams]
        if not self._is_open:
            raise UseError("worker: expected it open, seen it closed; open another")
        if name in names:
            raise UseError(f"stream {name!r}: expected a name of its own, seen one of that name; close it first")
        if len(names) >= self._most:
            raise UseError(f"stream {name!r}: expected {self._most} streams at most, seen as many; close one first")

    def _forget(self, stream: SwapStream) -> None:
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)

    def _find_next(self) -> bool:
        """Find the faces of the frame that is next; False when the worker is closed."""
        with self._lock:
            while self._is_open:
                stream, wait_s = self._next_to_find()
                if stream:
                    break
                self._to_find.wait(wait_s)
            else:
                return False
            pushed = stream.queues.begin_find()
            stream.notify(is_ready=False)
            is_idle = not self._drawn_at_s and pushed.at_s > self._idle_at_s
        found = error = None
        try:
            with naming(pushed.given):
                found = stream.steps.find(pushed, is_idle=is_idle)
        except BaseException as raised:  # noqa: BLE001  # raised where the frame is pulled
            error = raised
        with self._lock:
            self._idle_at_s = time.monotonic() + stream.queues.meter.longest_s
            if error:
                stream.queues.fail(error, is_drawn=False)
            stream.queues.end_find(found)
            self._to_draw.notify()
            if stream.queues.has_ended:
                stream.notify()
        return True

    def _next_to_find(self) -> tuple[SwapStream | None, float | None]:
        """Return the stream whose faces weren't looked for the longest; or None, and how long that is so.

        None is looked for long before the drawer is free: meanwhile a newer frame may come. Where batches are cheaper,
        as many frames as there are streams wait for it.
        """
        ahead = sum(stream.queues.ahead_now for stream in self._streams)
        is_batched = any(stream.steps.model.is_batched for stream in self._streams)
        most = len(self._streams) if is_batched else 1
        ready = [one for one in self._streams if one.queues.can_find and ahead < max(most, one.queues.ahead)]
        if not ready:
            return None, None
        stream = min(ready, key=lambda stream: stream.queues.began_s)
        wait_s = self._drawn_at_s - _EARLY * stream.queues.meter.found_s - time.monotonic()
        return (None, wait_s) if stream.queues.drops and wait_s > 0 else (stream, None)

    def _draw_next(self) -> bool:
        """Swap the faces of the frame that was found first; False when the worker is closed.

        Where a batch is cheaper, those of other streams that wait, and have its swap model and look, come with it.
        """
        with self._lock:
            while self._is_open and not (ready := [one for one in self._streams if one.queues.can_draw]):
                self._to_draw.wait()
            if not self._is_open:
                return False
            ready.sort(key=lambda stream: stream.queues.next.began_s)
            first, model = ready[0], ready[0].steps.model
            same = [one for one in ready if one.steps.model is model and one.queues.next.look == first.queues.next.look]
            work = [(stream, stream.queues.begin_draw()) for stream in (same if model.is_batched else [first])]
            self._models.hold(model)
            self._drawn_at_s = time.monotonic() + sum(stream.queues.meter.drawn_s for stream, _ in work)
            self._to_find.notify()
        results = self._draw(work, model)
        self._models.release(model)
        with self._lock:
            self._drawn_at_s = 0.0
            for stream, result in results:
                if isinstance(result, Swapped):
                    stream.queues.end_draw(result)
                else:
                    stream.queues.fail(result, is_drawn=True)
                    stream.queues.end_draw(None)
                stream.notify(has_room=stream.queues.is_ended)
            self._to_find.notify()
        for stream, result in results:
            if isinstance(result, Swapped):
                seconds = result.found_s + result.drawn_s
                self._count_frame(seconds, len(result.found.assignment), stream.name)
        return True

    def _draw(self, work: _Work, model: OpenModel) -> Sequence[tuple[SwapStream, Swapped | BaseException]]:
        """Swap frames together, and one by one where that fails, so that an error is of one frame alone."""
        streams = [stream for stream, _ in work]
        try:
            with naming(work[0][1].pushed.given):
                drawn = draw_all(self.pipeline, [(stream.steps, found) for stream, found in work], model)
        except BaseException as error:  # noqa: BLE001  # raised where the frame is pulled
            if len(work) == 1:
                return [(streams[0], error)]
            return [result for one in work for result in self._draw([one], model)]
        return [*zip(streams, drawn, strict=True)]


def _repeat(step: Callable[[], bool]) -> None:
    while step():
        pass
