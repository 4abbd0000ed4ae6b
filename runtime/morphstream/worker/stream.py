"""A stream of frames that a worker swaps: push frames with their times, pull swapped ones; for threads and asyncio."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import partial

from morphstream.closing import Closing
from morphstream.face.assign import Wanted, assign
from morphstream.face.look import Look
from morphstream.face.types import Identity
from morphstream.frame import Frame, check_frame, numbered
from morphstream.worker.models import ModelSwitch, OpenModel, SwapModels
from morphstream.worker.queues import Pushed, StreamQueues, Swapped
from morphstream.worker.stats import StreamStats
from morphstream.worker.steps import StreamSteps

_Attempt = Callable[[], object]


class SwapStream(Closing):
    """Frames that a `SwapWorker` swaps, in order; made by `SwapWorker.open`, and closed by it at the latest.

    Any thread may call it, and any event loop, too: `apush`, `apull` and ``async for`` never block one. `change` and
    `identify` take as long as a model takes to open, or to run: there call them by `asyncio.to_thread`.

    Attributes:
        name: Of the stream.
        queues: Where its frames wait; for the worker, as are `steps`.
        steps: What is done with each.
    """

    def __init__(
        self,
        name: str,
        queues: StreamQueues,
        steps: StreamSteps,
        *,
        models: SwapModels,
        lock: threading.Lock,
        on_push: Callable[[], object],
        on_pull: Callable[[], object],
        forget: "Callable[[SwapStream], object]",
    ) -> None:
        """Begin with no frame; all but `forget`, which is called when it is closed, are called under the lock."""
        self.name, self.queues, self.steps = name, queues, steps
        self._lock, self._room, self._ready = lock, threading.Condition(lock), threading.Condition(lock)
        self._models, self._on_push, self._on_pull, self._forget = models, on_push, on_pull, forget
        self._waiters, self._count, self._is_open = list[asyncio.Future[None]](), 0, True
        self._switch: ModelSwitch | None = None

    def __iter__(self) -> Iterator[Swapped]:
        """Yield frames as `pull` returns them, until the end."""
        while (swapped := self.pull()) is not None:
            yield swapped

    async def __aiter__(self) -> AsyncIterator[Swapped]:
        """Yield frames as `apull` returns them, until the end."""
        while (swapped := await self.apull()) is not None:
            yield swapped

    @property
    def has_ended(self) -> bool:
        """Whether `pull` returns no more frames: all came, or the stream was closed."""
        with self._lock:
            return self.queues.has_ended

    @property
    def stats(self) -> StreamStats:
        """What the stream has done, and does now."""
        with self._lock:
            return self.queues.meter.stats(self.name, self.steps.model.name, self.queues.waiting)

    def push(self, frame: Frame, time: float | Fraction, *, timeout_s: float | None = None) -> bool:
        """Push the next frame.

        A stream that drops frames takes it at once, and the oldest that waits makes room for it. One that lets them
        wait takes it when there is room.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR; kept, not copied.
            time: When it is shown, in seconds; it comes back as it is.
            timeout_s: How long to wait for room; None for as long as it takes.

        Returns:
            Whether it was taken: False after the time-out, and when the stream has ended.

        Raises:
            TypeError: The frame isn't an array of uint8, or the time no number.
            ValueError: It isn't ``(H, W, 3)``, or the time isn't finite.
        """
        attempt, is_pushed = self._pushing(frame, time)
        with self._room:
            self._room.wait_for(attempt, timeout_s)
        return bool(is_pushed)

    async def apush(self, frame: Frame, time: float | Fraction, *, timeout_s: float | None = None) -> bool:
        """Push the next frame, as `push`."""
        attempt, is_pushed = self._pushing(frame, time)
        await self._wait_for(attempt, timeout_s)
        return bool(is_pushed)

    def pull(self, *, timeout_s: float | None = None, newest: bool = False) -> Swapped | None:
        """Return the next frame that is ready, in the order in which frames were pushed.

        Args:
            timeout_s: How long to wait for one; None for as long as it takes.
            newest: Whether those that are older than the newest one are dropped.

        Returns:
            None after the time-out, and at the end, which `has_ended` says.

        Raises:
            FrameError: A frame was refused, which ended the stream; those before it were returned.
            Exception: Anything else that was raised for it.
        """
        attempt, pulled = self._pulling(newest=newest)
        with self._ready:
            self._ready.wait_for(attempt, timeout_s)
        return self._result(pulled)

    async def apull(self, *, timeout_s: float | None = None, newest: bool = False) -> Swapped | None:
        """Return the next frame that is ready, as `pull`."""
        attempt, pulled = self._pulling(newest=newest)
        await self._wait_for(attempt, timeout_s)
        return self._result(pulled)

    def end(self) -> None:
        """Say that no more frames come; those that were pushed still do."""
        with self._lock:
            self.queues.is_ended = True
            self.notify()

    def change(self, *, wanted: Wanted | None = None, look: Look | None = None) -> None:
        """Change who becomes whom, or how that is drawn, between two frames; tracks stay.

        Args:
            wanted: As in `SwapWorker.open`; None for no change.
            look: Its models are opened before it is used, while frames keep the one before; None for no change.

        Raises:
            TypeError: `wanted` has something other than rules and identities.
            ValueError: The pixel boost is no multiple of the swap model's side.
            NoEngineError: The store lacks a model of the look.
            SessionError: It can't be opened.
        """
        if wanted is not None:
            assign([], wanted, list)  # which refuses what is no rule
        if look is not None:
            self.steps.check(self.steps.model, look)
            self._models.prepare(look)
        self.steps.change(wanted, look)

    def switch(self, swap_model: str) -> ModelSwitch:
        """Switch to another swap model between two frames, once it is open; returns at once.

        Until then frames keep the one before, and so they do if it can't be fetched or opened. A model that isn't in
        the store is fetched by the worker's `ModelDownloadService`. Of two switches the later one counts.

        Args:
            swap_model: Such as ``hyperswap_1b_256``.
        """
        with self._lock:
            if self._switch:
                self._switch.become("replaced")
            self._switch = switch = ModelSwitch(swap_model)
        self._models.switch(switch, partial(self._use, switch))
        return switch

    def identify(self, track: int) -> Identity:
        """Return who a face is, by its track, as it was seen last.

        Args:
            track: A number of `Swapped.found.tracks`.

        Raises:
            NoFaceError: The last frame has no such track.
            SessionError: The embedder failed.
        """
        return self.steps.identify(track)

    def close(self) -> None:
        """End the stream, and forget its frames; who waits for one gets none."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            self.queues.clear()
            if self._switch:
                self._switch.become("replaced")
            self._on_push()
            self.notify()
        self._models.release(self.steps.model)
        self._forget(self)

    def notify(self, *, has_room: bool = True, is_ready: bool = True) -> None:
        """Wake who waits for room, and who waits for a frame; under the lock."""
        if has_room:
            self._room.notify_all()
        if is_ready:
            self._ready.notify_all()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            with suppress(RuntimeError):  # its loop is closed
                waiter.get_loop().call_soon_threadsafe(_finish, waiter)

    def _pushing(self, frame: Frame, time_s: float | Fraction) -> tuple[_Attempt, list[bool]]:
        """Return what tries to push a frame, true if that is settled, and what then is true if it was taken."""
        check_frame(frame)
        taken = list[bool]()

        def attempt() -> bool:
            (given,) = numbered([(frame, time_s)], self._count)
            if self.queues.push(Pushed(given=given, at_s=time.monotonic())):
                self._count += 1
                taken.append(True)
                self._on_push()
            return bool(taken) or self.queues.is_ended

        return attempt, taken

    def _pulling(self, *, newest: bool) -> tuple[_Attempt, list[Swapped]]:
        """Return what tries to pull a frame, true if that is settled, and what then has the frame, if there is one."""
        pulled = list[Swapped]()

        def attempt() -> bool:
            pulled.extend(self.queues.pull(newest=newest))
            if pulled:
                self._on_pull()  # there is room
            if pulled and self.queues.has_ended:
                self.notify()
            return bool(pulled) or self.queues.has_ended

        return attempt, pulled

    def _result(self, pulled: Sequence[Swapped]) -> Swapped | None:
        """Return the frame that was pulled; raise the stream's error after the last one."""
        if not pulled and self.queues.error and self.has_ended:
            raise self.queues.error
        return pulled[0] if pulled else None

    async def _wait_for(self, attempt: _Attempt, timeout_s: float | None) -> None:
        """Attempt something each time that a frame has moved on, until it is settled or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    with self._lock:
                        if attempt():
                            return
                        waiter = asyncio.get_running_loop().create_future()
                        self._waiters.append(waiter)
                    try:
                        await waiter
                    finally:
                        with self._lock, suppress(ValueError):
                            self._waiters.remove(waiter)

    def _use(self, switch: ModelSwitch, model: OpenModel) -> bool:
        """Use another swap model, unless a later switch or the end of the stream has come."""
        self.steps.check(model, self.steps.look)
        with self._lock:
            if self._switch is not switch or not self._is_open:
                return False
            before, self.steps.model = self.steps.model, model
        self._models.release(before)
        return True


def _finish(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
