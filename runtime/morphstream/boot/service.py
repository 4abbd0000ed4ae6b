"""Download swap models on demand, in the background: once for all callers, cancellable, with progress and a budget."""

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from os import PathLike
from typing import Self

from morphstream.artifact.errors import MorphstreamError, NoEngineError
from morphstream.boot.ondemand import Added, add_model
from morphstream.source.named import Sources, sources_of
from morphstream.source.transfer import Transfer
from morphstream.store.store import Store

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
        self._pool, self._is_closed = ThreadPoolExecutor(1, "morphstream-models"), False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, model: str) -> "ModelDownload":
        """Request a model, which counts as a use of it; returns at once.

        A model that is in the store is done at once. All requests for a model share one download.

        Raises:
            RuntimeError: The service is closed.
        """
        if self._is_closed:
            raise RuntimeError("models: expected an open service to ask, seen a closed one")
        with suppress(NoEngineError):  # which the download raises
            if model in self._store.current().models:
                self._store.usage.touch(model)
                done = ModelDownload(model, _Job(model), self)
                done.set_result(Added(model=model, is_new=False))
                return done
        with self._lock:
            job = self._jobs.get(model)
            if job is None:
                job = _Job(model)
                self._pool.submit(self._run, job)
                self._jobs[model] = job
            download = ModelDownload(model, job, self)
            job.downloads.append(download)
            return download

    def close(self) -> None:
        """Cancel all downloads, and wait until they have ended; a source that doesn't answer isn't waited for."""
        self._is_closed = True
        self._pool.shutdown(wait=False)  # first, so that nothing more is submitted
        with self._lock:
            downloads = [download for job in self._jobs.values() for download in job.downloads]
        for download in downloads:
            download.cancel()
        self._pool.shutdown()

    def _unsubscribe(self, download: "ModelDownload", job: "_Job") -> None:
        """Remove a cancelled download from its job, and cancel the job if that was its last one."""
        with self._lock:
            if download in job.downloads:
                job.downloads.remove(download)
                download.set_running_or_notify_cancel()  # else `wait` and `as_completed` wait on
            is_last = not job.downloads
            if is_last and self._jobs.get(job.model) is job:
                del self._jobs[job.model]
        if is_last:
            job.transfer.cancel()

    def _run(self, job: "_Job") -> None:
        result, failure = None, None
        try:
            result = self._add(job)
        except BaseException as error:  # noqa: BLE001 # it is raised where the result is waited for
            failure = error
        with self._lock:
            if self._jobs.get(job.model) is job:
                del self._jobs[job.model]
            downloads, job.downloads = job.downloads, []
        for download in downloads:
            if download.set_running_or_notify_cancel():
                if result:
                    download.set_result(result)
                else:
                    download.set_exception(failure)

    def _add(self, job: "_Job") -> Added:
        """Add a model from the first source that can give it; raises as `add_model`."""
        failure: MorphstreamError = NoEngineError(
            f"{job.model}: expected a source to fetch it from, seen none; name one"
        )
        for source in self._sources:
            try:
                return add_model(self._store, job.model, source, budget_bytes=self._budget_bytes, transfer=job.transfer)
            except MorphstreamError as error:
                failure = error
                if source is not self._sources[-1]:
                    _log.warning("%s", error)
        raise failure


class ModelDownload(Future[Added]):
    """A requested model: a future, which `asyncio.wrap_future` takes, too.

    `cancel` cancels one request; the download continues while there are others.

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
        """Cancel the request; return whether it was still open."""
        is_cancelled = super().cancel()
        if is_cancelled:
            self._service._unsubscribe(self, self._job)
        return is_cancelled


class _Job:
    """The download of a model, and all requests for it."""

    def __init__(self, model: str) -> None:
        self.model, self.transfer, self.downloads = model, Transfer(), list[ModelDownload]()
