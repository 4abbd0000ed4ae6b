"""Download swap models on demand, in the background: once for all callers, cancellable, with progress and a budget."""

import logging
import threading
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from typing import Self

from morphstream.boot.ondemand import Added, add_model
from morphstream.source.attempts import first_result
from morphstream.source.named import Sources, sources_of
from morphstream.source.transfer import Transfer
from morphstream.store.store import Store
from morphstream.turns import Turns

_log = logging.getLogger("morphstream.download")


class ModelDownloadService:
    """Fetches the engines of models into a store, one after the other; a context manager, for any thread.

    Several processes may have one each for a store: its lock lets one fetch, and the others find the model there.
    """

    def __init__(
        self, store: Store | str | PathLike[str], source: Sources = None, *, budget_bytes: int | None = None
    ) -> None:
        """Name a store and its sources; nothing is read yet.

        Args:
            store: A booted one.
            source: As `boot` takes it; the first one that has a model gives it.
            budget_bytes: Limit for all engines in the store, as `add_model` takes it.

        Raises:
            ValueError: A source has no such form.
        """
        self._store = store if isinstance(store, Store) else Store(store)
        self._sources, self._budget_bytes = sources_of(source), budget_bytes
        self._lock, self._jobs = threading.Lock(), dict[str, _Job]()
        self._pool, self._turns = ThreadPoolExecutor(1, "morphstream-models"), Turns("models")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, model: str) -> "ModelDownload":
        """Request a model, which counts as a use of it; returns at once.

        A model that is in the store is done at once. All requests for a model share one download.

        Raises:
            UseError: The service is closed, or was opened by the process that this one was forked from.
        """
        with self._turns, self._lock:
            transfer, installed = Transfer(), self._store.find()
            job = self._jobs.get(model)
            if installed and model in installed.models:
                self._store.usage.touch(model)
                job = _Job(self._lock, transfer, Future())
                job.future.set_result(Added(model=model, is_new=False))
            elif job is None or job.future.done() or not job.requests:
                job = _Job(self._lock, transfer, self._pool.submit(self._add, model, transfer))
                self._jobs[model] = job
            return ModelDownload(model, job)

    def close(self) -> None:
        """Cancel all downloads, and wait until they have ended; a source that doesn't answer isn't waited for."""
        if not self._turns.close():
            return
        self._pool.shutdown(wait=False)  # first, so that nothing more is submitted
        with self._lock:
            downloads = [download for job in self._jobs.values() for download in job.requests]
        for download in downloads:
            download.cancel()
        self._pool.shutdown()

    def _add(self, model: str, transfer: Transfer) -> Added:
        """Add a model from the first source that can give it; raises as `add_model`."""
        add = partial(add_model, self._store, model, budget_bytes=self._budget_bytes, transfer=transfer)
        attempts = (partial(add, source) for source in self._sources)
        none = f"{model}: expected a source to fetch it from, seen none; name one"
        return first_result(attempts, partial(_log.warning, "%s"), none)


class ModelDownload(Future[Added]):
    """A requested model: a future, which `asyncio.wrap_future` takes, too.

    `cancel` cancels one request; the download continues while there are others.

    Attributes:
        model: Its name.
    """

    def __init__(self, model: str, job: "_Job") -> None:
        super().__init__()
        self.model, self._job = model, job
        job.requests.add(self)
        job.future.add_done_callback(self._finish)

    @property
    def done_bytes(self) -> int:
        """How many bytes have come."""
        return self._job.transfer.done_bytes

    @property
    def total_bytes(self) -> int:
        """How many there are; 0 until that is known, and where nothing has to come."""
        return self._job.transfer.total_bytes

    def cancel(self) -> bool:
        """Cancel the request; return whether it was still open."""
        is_cancelled = super().cancel()
        if is_cancelled:
            with self._job.lock:
                is_first = self in self._job.requests
                self._job.requests.discard(self)
            if is_first:
                self.set_running_or_notify_cancel()  # else `wait` and `as_completed` wait on
            if not self._job.requests:
                self._job.transfer.cancel()
        return is_cancelled

    def _finish(self, job: Future[Added]) -> None:
        with suppress(InvalidStateError):  # this request is cancelled
            if error := job.exception():
                self.set_exception(error)
            else:
                self.set_result(job.result())


@dataclass(eq=False, slots=True)
class _Job:
    """The download of a model, and the requests for it that aren't cancelled; a cancelled one is never joined."""

    lock: threading.Lock
    transfer: Transfer
    future: Future[Added]
    requests: set[ModelDownload] = field(default_factory=set)
