"""A service fetches models beside the work: once for all who ask, and no longer than one waits for it."""

import io
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from morphstream.artifact.errors import FetchError, NoEngineError
from morphstream.boot.boot import boot
from morphstream.boot.service import ModelDownloadService
from morphstream.source.folder import FolderSource
from morphstream.store.store import Store
from morphstream.store.volume import exclusive_lock
from tests.layouts import CPU, FILES, MACHINE, ON_DEMAND, publish

A, B = "hyperswap_1a_256", "hyperswap_1b_256"


class Waiting(io.BytesIO):
    """A stream that gives half of its bytes, and the others when it may; closing it ends the waiting."""

    def __init__(self, data: bytes, may_go: threading.Event) -> None:
        super().__init__(data)
        self.size, self.may_go, self.is_closed = len(data), may_go, threading.Event()

    def read(self, _size: int | None = -1, /) -> bytes:
        """Return some bytes, or wait."""
        if self.tell():
            while not self.may_go.wait(0.01):
                if self.is_closed.is_set():
                    raise ValueError("read of a closed file")
        return super().read(self.size // 2)

    def close(self) -> None:
        """Close it."""
        self.is_closed.set()


@dataclass
class Slow:
    """A source whose engines stop halfway until they may go on."""

    root: Path
    may_go: threading.Event = field(default_factory=threading.Event)
    opened: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    asked: list[str] = field(default_factory=list)

    def read(self, path: str) -> bytes:
        """Return a small file."""
        return FolderSource(self.root).read(path)

    def open(self, path: str) -> BinaryIO:
        """Open a file."""
        self.asked.append(path)
        self.opened.release()
        return Waiting(FolderSource(self.root).read(path), self.may_go)


@dataclass
class Silent:
    """A source that answers nothing until it may."""

    may_go: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)

    def read(self, path: str) -> bytes:
        """Wait, and refuse."""
        self.asked.set()
        self.may_go.wait()
        raise FetchError(f"{path}: expected an answer, seen none")

    def open(self, path: str) -> BinaryIO:
        """Wait, and refuse."""
        return io.BytesIO(self.read(path))


@pytest.fixture
def slow(tmp_path: Path) -> Slow:
    """Where all models are published."""
    return Slow(publish(tmp_path / "hub", CPU, files=(*FILES, *ON_DEMAND)))


@pytest.fixture
def service(store: Store, slow: Slow) -> Iterator[ModelDownloadService]:
    """A service for a store with the core alone."""
    boot(store, source=slow.root, machine=MACHINE, groups=["core"])
    with ModelDownloadService(store, slow) as service:
        yield service


def test_all_who_ask_get_one_download_and_see_how_far_it_is(
    service: ModelDownloadService, store: Store, slow: Slow
) -> None:
    downloads = [service.request(A) for _ in range(5)]
    assert slow.opened.acquire(timeout=60)
    while any(download.done_bytes < 2500 for download in downloads):
        pass
    assert {(download.done_bytes, download.total_bytes, download.done()) for download in downloads} == {
        (2500, 5000, False)
    }
    slow.may_go.set()
    assert {str(download.result(60)) for download in downloads} == {f"{A} fetched"}
    assert slow.asked == [f"trt_cache/{CPU}/{A}.xml"]
    assert A in store.current().models
    again = service.request(A)
    assert (again.done(), str(again.result()), again.cancel()) == (True, f"{A} was there already", False)


def test_a_download_goes_on_while_one_waits_and_ends_with_the_last(
    service: ModelDownloadService, store: Store, slow: Slow
) -> None:
    first, second = service.request(A), service.request(A)
    assert slow.opened.acquire(timeout=60)
    assert first.cancel()
    assert wait([first], 60).done == {first}
    with pytest.raises(CancelledError):
        first.result()
    assert not second.done()
    assert second.cancel()
    third = service.request(A)  # which comes anew
    assert slow.opened.acquire(timeout=60)
    slow.may_go.set()
    assert third.result(60).is_new
    assert len(slow.asked) == 2
    assert not list(store.path.glob(".staging*"))
    store.verify()


def test_what_waits_in_line_is_cancelled_without_a_request(service: ModelDownloadService, slow: Slow) -> None:
    first, second = service.request(A), service.request(B)
    assert slow.opened.acquire(timeout=60)
    assert second.cancel()
    slow.may_go.set()
    first.result(60)
    service.close()
    assert slow.asked == [f"trt_cache/{CPU}/{A}.xml"]


def test_what_waits_for_another_process_is_cancelled(service: ModelDownloadService, store: Store, slow: Slow) -> None:
    with exclusive_lock(store.path / ".lock", 60):
        download = service.request(A)
        assert download.cancel()
        service.close()  # waits until it has ended
    assert slow.asked == []


def test_closing_cancels_and_leaves_the_store_as_it_was(
    service: ModelDownloadService, store: Store, slow: Slow
) -> None:
    before = store.current()
    downloads = [service.request(model) for model in (A, B)]
    assert slow.opened.acquire(timeout=60)
    service.close()
    assert all(download.cancelled() for download in downloads)
    assert store.current() == before
    assert not list(store.path.glob(".staging*"))
    for model in (A, "det_10g"):
        with pytest.raises(RuntimeError):
            service.request(model)


def test_nobody_waits_for_a_source_that_does_not_answer(store: Store, slow: Slow) -> None:
    boot(store, source=slow.root, machine=MACHINE, groups=["core"])
    silent = Silent()
    with ModelDownloadService(store, silent) as service:
        download = service.request(A)
        assert silent.asked.wait(60)
    assert download.cancelled()
    with exclusive_lock(store.path / ".lock", 0):
        silent.may_go.set()


def test_a_source_with_other_bytes_is_left_for_the_next(
    store: Store, slow: Slow, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow.may_go.set()
    boot(store, source=slow.root, machine=MACHINE, groups=["core"])
    damaged = publish(tmp_path / "damaged", CPU, files=(*FILES, *ON_DEMAND))
    (damaged / f"trt_cache/{CPU}/{A}.xml").write_bytes(b"x" * 5000)
    with ModelDownloadService(store, [damaged, slow]) as service:
        download = service.request(A)
        assert download.result(60).is_new
    assert (download.done_bytes, download.total_bytes) == (5000, 5000)
    assert f"{A}.xml: expected sha256" in caplog.text


def test_a_budget_evicts_and_the_next_source_is_asked(store: Store, slow: Slow) -> None:
    slow.may_go.set()
    boot(store, source=slow.root, machine=MACHINE, groups=["core"])
    with ModelDownloadService(store, [slow.root.parent / "nowhere", slow], budget_bytes=15_000) as service:
        wait([service.request(A), service.request(B)])
        assert service.request(B).done()
        assert sorted(store.current().models) == ["det_10g", B]


def test_what_goes_wrong_is_raised_where_the_result_is_asked_for(tmp_path: Path, store: Store, slow: Slow) -> None:
    with ModelDownloadService(store, slow) as service, pytest.raises(NoEngineError, match="run: morphstream boot"):
        service.request(A).result(60)
    boot(store, source=slow.root, machine=MACHINE)
    with ModelDownloadService(store, slow) as service, pytest.raises(NoEngineError, match="gfpgan: expected an engine"):
        service.request("gfpgan").result(60)
    with ModelDownloadService(store, tmp_path) as service, pytest.raises(FetchError, match="seen No such file"):
        service.request("gfpgan").result(60)
    with ModelDownloadService(store, []) as service, pytest.raises(NoEngineError, match="expected a source to fetch"):
        service.request("gfpgan").result(60)
