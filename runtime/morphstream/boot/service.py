"""Swap models on demand, in the background: de-duplicated, cancellable, with progress and a disk budget."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from os import PathLike
from types import TracebackType
from typing import Self

from morphstream.artifact.errors import MorphstreamError, NoEngineError
from morphstream.boot.ondemand import Added, add_model
from morphstream.source.named import sources_of
from morphstream.source.source import Source
from morphstream.source.transfer import Transfer
from morphstream.store.store import Store

_log = logging.getLogger("morphstream.download")


class ModelDownloadService:
    """Fetches the engines of models into a store, one after the other; a context manager, for any thread.

    Processes may have one each for the same store: its lock lets one fetch, and the others find the model there.
    """

    def __init__(
        self,
        store: Store | str | PathLike[str],
        source: Source | str | PathLike[str] | Sequence[Source | str | PathLike[str]] | None = None,
        *,
        budget_bytes: int | None = None,
    ) -> None:
        """Name a store and where models come from; nothing is asked yet.

        Args:
            store: A booted one.
            source: As `boot` takes it; the first one that has the model gives it.
            budget_bytes: Of all engines in the store; see `add_model`. None for as much as the volume has.

        Raises:
            ValueError: A source is none.
        """
        self._store = store if isinstance(store, Store) else Store(store)
        self._sources, self._budget_bytes = sources_of(source), budget_bytes
        self._lock, self._jobs = threading.Lock(), dict[str, _Job]()
        self._pool, self._is_closed = ThreadPoolExecutor(1, "morphstream-models"), False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def request(self, model: str) -> "ModelDownload":
        """Ask for a model, and note that it is used; returns at once.

        What is there already is done at once, and what is coming comes once for all who ask.

        Raises:
            RuntimeError: The service is closed.
        """
        if self._is_closed:
            raise RuntimeError("models: expected an open service to ask, seen a closed one")
        try:
            if model in self._store.current().models:
                self._store.usage.touch(model)
                there = ModelDownload(model, _Job(model), self)
                there.set_result(Added(model=model, is_new=False))
                return there
        except NoEngineError:
            pass  # which is said by what is returned
        with self._lock:
            job = self._jobs.get(model)
            if job is None:
                job = _Job(model)
                self._pool.submit(self._run, job)
                self._jobs[model] = job
            download = ModelDownload(model, job, self)
            job.waiting.append(download)
            return download

    def close(self) -> None:
        """Cancel what is coming, and wait until it has ended; nobody waits for a source that doesn't answer."""
        self._is_closed = True
        self._pool.shutdown(wait=False)  # first, so that nothing more is asked for
        with self._lock:
            downloads = [download for job in self._jobs.values() for download in job.waiting]
        for download in downloads:
            download.cancel()
        self._pool.shutdown()

    def _leave(self, download: "ModelDownload", job: "_Job") -> None:
        """Go on without one that was cancelled, or not at all where it was the last."""
        with self._lock:
            if download in job.waiting:
                job.waiting.remove(download)
                download.set_running_or_notify_cancel()  # else `wait` and `as_completed` wait on
            is_last = not job.waiting
            if is_last and self._jobs.get(job.model) is job:
                del self._jobs[job.model]
        if is_last:
            job.transfer.cancel()

    def _run(self, job: "_Job") -> None:
        outcome: Added | BaseException
        try:
            outcome = self._add(job)
        except BaseException as error:  # noqa: BLE001 # it is raised where the result is asked for
            outcome = error
        with self._lock:
            if self._jobs.get(job.model) is job:
                del self._jobs[job.model]
            waiting, job.waiting = job.waiting, []
        for download in waiting:
            if download.set_running_or_notify_cancel():
                if isinstance(outcome, Added):
                    download.set_result(outcome)
                else:
                    download.set_exception(outcome)

    def _add(self, job: "_Job") -> Added:
        failure: MorphstreamError = NoEngineError(
            f"{job.model}: expected a source to fetch it from, seen none; name one"
        )
        for source in self._sources:
            job.transfer.restart()
            try:
                return add_model(self._store, job.model, source, budget_bytes=self._budget_bytes, transfer=job.transfer)
            except MorphstreamError as error:
                failure = error
                if source is not self._sources[-1]:
                    _log.warning("%s", error)
        raise failure


class ModelDownload(Future[Added]):
    """A model that somebody asked for: a future, which `asyncio.wrap_future` takes, too.

    `cancel` takes back one request; the model comes on while others wait for it.

    Attributes:
        model: Its name.
    """

    def __init__(self, model: str, job: "_Job", service: ModelDownloadService) -> None:
        super().__init__()
        self.model = model
        self._job, self._service = job, service

    @property
    def done_bytes(self) -> int:
        """How many bytes have come."""
        return self._job.transfer.done_bytes

    @property
    def total_bytes(self) -> int:
        """How many there are; 0 until that is known, and where nothing has to come."""
        return self._job.transfer.total_bytes

    def cancel(self) -> bool:
        """Take the request back; return whether it was still open."""
        is_cancelled = super().cancel()
        if is_cancelled:
            self._service._leave(self, self._job)
        return is_cancelled


class _Job:
    """A model that is coming, and who waits for it."""

    def __init__(self, model: str) -> None:
        self.model, self.transfer, self.waiting = model, Transfer(), list[ModelDownload]()
