"""The swap models of a worker's streams: each is opened once, in the background, and closed after its last use."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from morphstream.artifact.errors import message_of
from morphstream.boot.service import ModelDownload, ModelDownloadService
from morphstream.closing import Closing
from morphstream.face.look import Look
from morphstream.face.swap import TEMPLATE, Swapper
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.pipeline import SwapPipeline

SwitchState = Literal["waiting", "fetching", "opening", "done", "failed", "replaced"]
_CHEAPER = 0.8  # of the time of two runs, for a run of both to be worth waiting for the second
_SIDE = 256  # of a grey frame
_SOMEBODY = Identity(embedding=np.eye(1, 512, dtype=np.float32)[0])


@dataclass(eq=False, slots=True, kw_only=True)
class OpenModel:
    """A swap model that is open.

    Attributes:
        name: Its name.
        swapper: The model; None for that of the pipeline, which stays open.
        close: Closes it.
        is_batched: Whether several frames at once take less time than one by one.
        users: How many streams and frames use it.
    """

    name: str
    swapper: Swapper | None
    close: Callable[[], object]
    is_batched: bool
    users: int


class ModelSwitch:
    """A stream's switch to another swap model, which goes on in the background; any thread may read it.

    Attributes:
        model: Name of the other model.
        state: ``waiting`` for an earlier one, ``fetching``, ``opening``; at the end ``done``, ``failed``, or
            ``replaced`` by a later switch of the same stream, or by its end.
        error: Why it failed, in a line; empty where it didn't.
        download: Fetches the model; None where nothing has to come.
    """

    def __init__(self, model: str) -> None:
        self.model, self.error = model, ""
        self.state: SwitchState = "waiting"
        self.download: ModelDownload | None = None
        self._lock, self._is_over = threading.Lock(), threading.Event()

    @property
    def done_bytes(self) -> int:
        """How many bytes of the model have come."""
        return self.download.done_bytes if self.download else 0

    @property
    def total_bytes(self) -> int:
        """How many there are; 0 until that is known, and where nothing has to come."""
        return self.download.total_bytes if self.download else 0

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is over, for a time at most; return whether it is done."""
        return self._is_over.wait(timeout_s) and self.state == "done"

    def follow(self, download: ModelDownload) -> None:
        """Show the progress of a download, and cancel it where the switch is replaced."""
        self.download = download
        if not self.become("fetching"):
            download.cancel()

    def become(self, state: SwitchState, error: str = "") -> bool:
        """Set the state; False where it is over already."""
        with self._lock:
            if self._is_over.is_set():
                return False
            self.state, self.error = state, error
            if state in ("done", "failed", "replaced"):
                self._is_over.set()
        if state == "replaced" and self.download:
            self.download.cancel()
        return True


class SwapModels(Closing):
    """The swap models of a worker."""

    def __init__(self, pipeline: SwapPipeline, downloads: ModelDownloadService | None, *, has_several: bool) -> None:
        """Begin with the model of a pipeline.

        Args:
            pipeline: Opens models.
            downloads: Fetches those that its store lacks; None to refuse them.
            has_several: Whether several streams may use them.
        """
        self._pipeline, self._downloads = pipeline, downloads
        is_batched = has_several and is_batch_cheaper(partial(run_pipeline, pipeline))
        own = OpenModel(name=pipeline.swap_model, swapper=None, close=bool, is_batched=is_batched, users=1)
        self._open = {own.name: own}
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._pool = ThreadPoolExecutor(1, "morphstream-models")

    def close(self) -> None:
        """End what goes on in the background, and close every model."""
        self._pool.shutdown(cancel_futures=True)
        for model in self._open.values():
            model.close()
        self._open = {}

    def use(self, name: str) -> OpenModel:
        """Return a model that is in the store, opened and warm, until `release`; errors as of `SwapPipeline.use`."""
        with self._opening:
            with self._lock:
                model = self._open.get(name)
                if model:
                    model.users += 1
                    return model
            swapper, engines = self._pipeline.open_swapper(name)
            with ExitStack() as on_error:
                on_error.callback(engines.close)
                is_batched = is_batch_cheaper(partial(run_model, swapper))
                on_error.pop_all()
            model = OpenModel(name=name, swapper=swapper, close=engines.close, is_batched=is_batched, users=1)
            with self._lock:
                self._open[name] = model
            return model

    def hold(self, model: OpenModel) -> None:
        """Use an open model once more, until `release`."""
        with self._lock:
            model.users += 1

    def release(self, model: OpenModel) -> None:
        """End a use of a model, and close it in the background after the last."""
        with self._lock:
            model.users -= 1
            is_last = not model.users
        if is_last:
            with suppress(RuntimeError):  # the worker is closed, and with it every model
                self._pool.submit(self._close, model)

    def _close(self, model: OpenModel) -> None:
        with self._lock:
            if model.users or self._open.get(model.name) is not model:
                return
            del self._open[model.name]
        model.close()

    def prepare(self, look: Look) -> None:
        """Open the models of a look that aren't open yet, so that no frame waits for them."""
        with self._opening:
            self._pipeline.open_models(look)

    def switch(self, switch: ModelSwitch, use: Callable[[OpenModel], bool]) -> None:
        """Open the model of a switch in the background, after it was fetched if need be.

        Args:
            switch: Says how far it is.
            use: Called with the open model, and returns whether the stream still wants it. Raises ValueError for one
                that doesn't fit.
        """
        if self._downloads and switch.model not in self._open:
            download = self._downloads.request(switch.model)
            switch.follow(download)
            download.add_done_callback(lambda _: self._begin(switch, use))
        else:
            self._begin(switch, use)

    def _begin(self, switch: ModelSwitch, use: Callable[[OpenModel], bool]) -> None:
        try:
            self._pool.submit(self._open_for, switch, use)
        except RuntimeError:  # the worker is closed
            switch.become("replaced")

    def _open_for(self, switch: ModelSwitch, use: Callable[[OpenModel], bool]) -> None:
        """Open a model that was fetched, and switch to it."""
        try:
            if not switch.become("opening"):
                return
            if switch.download:
                switch.download.result()
            model = self.use(switch.model)
            try:
                is_used = use(model)
            except ValueError:
                self.release(model)
                raise
            if not is_used:
                self.release(model)
            switch.become("done" if is_used else "replaced")
        except Exception as error:  # noqa: BLE001  # nobody waits for this thread: the switch says it
            switch.become("failed", message_of(error))


def is_batch_cheaper(run: Callable[[int], object], clock: Callable[[], float] = time.perf_counter) -> bool:
    """Return whether two rows at once take clearly less time than one after the other; warms up what runs them.

    Args:
        run: Runs so many rows.
        clock: Seconds.
    """

    def seconds(rows: int) -> float:
        begun = clock()
        run(rows)
        return clock() - begun

    def is_cheaper() -> bool:
        return seconds(2) < _CHEAPER * 2 * seconds(1)

    run(1)
    return is_cheaper() and is_cheaper()  # as the first run of a size may take longer, and anything once less


def run_model(swapper: Swapper, rows: int) -> None:
    """Swap grey crops."""
    crops = np.full((rows, swapper.side, swapper.side, 3), 128, np.uint8)
    swapper.swap(crops, [swapper.latent(_SOMEBODY)] * rows)


def run_pipeline(pipeline: SwapPipeline, frames: int) -> None:
    """Swap a face in each of some grey frames, whatever is there to be found."""
    face = Face(box_xyxy=np.array([0.0, 0.0, _SIDE, _SIDE]), points5=TEMPLATE * _SIDE, score=1.0)
    found = FoundFaces(frame=np.full((_SIDE, _SIDE, 3), 128, np.uint8), faces=[face], assignment={0: _SOMEBODY})
    pipeline.swapper.swap_all([found] * frames, pipeline.look, [None] * frames)
