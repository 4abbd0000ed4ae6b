"""Processes share a store: one changes it at a time, and one that is killed leaves nothing."""

import fcntl
import io
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, ClassVar

import pytest

from bench.kill_boot import kill_boots
from morphstream.artifact.errors import NoEngineError
from morphstream.boot.boot import boot
from morphstream.source.fetch import archive_delivery
from morphstream.source.folder import FolderSource
from morphstream.store.install import install
from morphstream.store.store import Store
from morphstream.store.volume import exclusive_lock, shared_lock
from tests.layouts import CPU, MACHINE, archive_of, leave_killed, publish, read_archives

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["morphstream.boot.boot", "tests.layouts"])
ARCHIVE = archive_of(CPU)


def boot_from(store: Path, layout: Path) -> bool:
    return boot(store, source=layout, machine=MACHINE).was_good


def update(store: Store, layout: Path, build: int) -> Path:
    """Boot other bytes, and return their folder."""
    publish(layout, CPU, build=build)
    boot_from(store.path, layout)
    return store.current().folder


def folders_of(store: Store) -> set[Path]:
    return set((store.path / "caches").iterdir())


@contextmanager
def locked(path: Path, text: str = "") -> Iterator[None]:
    """Have the lock on a file, as another process would."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        file.write(text)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_of_eight_processes_that_boot_an_empty_store_at_once_one_unpacks(store: Store, layout: Path) -> None:
    with FORKS.Pool(8) as pool:
        was_good = pool.starmap(boot_from, [(store.path, layout)] * 8, chunksize=1)
    assert sorted(was_good) == [False, *[True] * 7]
    store.verify()
    assert store.clean() == ()


def test_who_has_waited_for_another_finds_what_that_one_put_there(
    store: Store, layout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry, waits = read_archives(layout).archives[ARCHIVE], threading.Event()

    class Notice(logging.Handler):
        """Notices that someone waits."""

        def emit(self, record: logging.LogRecord) -> None:
            """Say so."""
            if f"waiting for process {os.getpid()}" in record.getMessage():
                waits.set()

    class Slow(FolderSource):
        """A source that gives an archive when someone else waits for it."""

        def open(self, path: str) -> BinaryIO:
            """Have another one boot, and open an archive."""
            others.append(pool.submit(install, store, archive_delivery(ARCHIVE, entry, FolderSource(Path("nowhere")))))
            assert waits.wait(60)
            return super().open(path)

    caplog.set_level(logging.INFO, "morphstream.boot")
    others: list[Future[bool]] = []
    notice, log = Notice(), logging.getLogger("morphstream.boot")
    log.addHandler(notice)
    with ThreadPoolExecutor(1) as pool:
        assert install(store, archive_delivery(ARCHIVE, entry, Slow(layout)))
        text = (store.path / "current.json").read_bytes()
        assert not others[0].result()
    log.removeHandler(notice)
    assert (store.path / "current.json").read_bytes() == text


def test_after_a_kill_at_any_moment_the_next_start_is_good_and_nothing_is_left(tmp_path: Path) -> None:
    met = kill_boots(tmp_path, times=8, seed=1)
    assert sum(times for what, times in met.items() if what.startswith("killed in ")) == 8


def test_a_clean_removes_what_killed_processes_left_and_nothing_else(store: Store, layout: Path) -> None:
    boot_from(store.path, layout)
    leave_killed(store.path, "caches", "manifest.json")
    assert store.clean() == ()
    assert {path.name for path in store.path.iterdir()} == {".lock", "caches", "current.json"}
    assert folders_of(store) == {store.current().folder}


def test_a_clean_of_a_store_with_a_damaged_record_removes_nothing(store: Store, layout: Path) -> None:
    boot_from(store.path, layout)
    before = folders_of(store)
    (store.path / "current.json").write_text("{")
    with pytest.raises(NoEngineError, match=r"is damaged: expected JSON .*; run: morphstream boot$"):
        store.clean()
    assert folders_of(store) == before


def test_who_waits_too_long_says_for_whom_and_what_to_do(store: Store, layout: Path) -> None:
    hasty, entry = Store(store.path, timeout_s=0.1), read_archives(layout).archives[ARCHIVE]
    expected = (
        "expected its lock within 0.1 s, seen it with process 7 on here; wait for that, or end it, and boot again"
    )
    with (
        locked(store.path / ".lock", "process 7 on here\n"),
        pytest.raises(TimeoutError, match=f"^store {store.path}: {expected}$"),
    ):
        install(hasty, archive_delivery(ARCHIVE, entry, FolderSource(layout)))
    assert install(hasty, archive_delivery(ARCHIVE, entry, FolderSource(layout)))


def test_the_lock_names_its_process_while_it_is_taken(store: Store, layout: Path) -> None:
    seen = []

    class Witness(FolderSource):
        """A source that reads the lock's file."""

        def open(self, path: str) -> BinaryIO:
            """Read the lock's file, and open an archive."""
            seen.append((store.path / ".lock").read_text())
            return super().open(path)

    install(store, archive_delivery(ARCHIVE, read_archives(layout).archives[ARCHIVE], Witness(layout)))
    assert seen == [f"process {os.getpid()} on {os.uname().nodename}\n"]
    assert (store.path / ".lock").read_text() == ""


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_sees_for_whom_a_boot_waits(store: Store, layout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.chdir(store.path.parent)  # a line is cut to the terminal's width
    with locked(store.path / ".lock", "process 7 on here\n"), pytest.raises(TimeoutError):
        boot(Store(Path(store.path.name), timeout_s=0.1), source=layout, machine=MACHINE)
    assert f"store {store.path.name}: waiting for process 7 on here, 0 s" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\033[K")


def test_a_lock_whose_file_was_removed_is_taken_anew(store: Store, layout: Path) -> None:
    with locked(store.path / ".lock"):
        (store.path / ".lock").unlink()
        assert not boot_from(store.path, layout)
    store.verify()


class Replaced(type(Path())):  # type: ignore[misc]
    """A path whose file is another one by the time that it is locked, once."""

    looks: ClassVar[list[Path]] = []

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return the status of this file, or at first of another."""
        return (self.looks.pop() if self.looks else Path(self)).stat(follow_symlinks=follow_symlinks)


def test_a_file_that_was_replaced_before_its_lock_was_there_is_not_shared(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    path = Replaced(tmp_path / "manifest.json")
    path.touch()
    Replaced.looks = [tmp_path / "other"]
    with pytest.raises(FileNotFoundError, match="removed while it was opened"), shared_lock(path):
        pass
    with shared_lock(path):
        pass


@pytest.mark.parametrize("other", ["other", "none"], ids=["replaced", "removed"])
def test_a_lock_whose_file_was_replaced_before_it_was_there_is_taken_anew(tmp_path: Path, other: str) -> None:
    (tmp_path / "other").touch()
    Replaced.looks = [tmp_path / other]
    with exclusive_lock(Replaced(tmp_path / ".lock"), 1.0):
        assert Replaced.looks == []
        with (tmp_path / ".lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
