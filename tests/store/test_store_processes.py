"""Processes share a store: one changes it, none disturbs a reader, and one that dies leaves nothing."""

import fcntl
import io
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import BinaryIO, ClassVar

import pytest

from bench.kill_boot import kill_boots
from morphstream.artifact.digest import verify_file
from morphstream.artifact.errors import NoEngineError
from morphstream.boot.boot import boot
from morphstream.face.look import Look
from morphstream.pipeline import SwapPipeline
from morphstream.source.folder import FolderSource
from morphstream.store.install import install_archive
from morphstream.store.store import Store
from morphstream.store.volume import alone, shared
from stages.photos import astronaut
from tests.layouts import CPU, MACHINE, archive_of, publish, read_archives

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


def hold(path: Path, is_held: Event, may_go: Event) -> None:
    """Hold what a store holds, read all of it when told, and wait to be killed."""
    with Store(path).hold() as installed:
        is_held.set()
        may_go.wait(60)
        for name, digest in installed.digests.items():
            verify_file(installed.folder / name, digest)
    (path.parent / "read").touch()
    signal.pause()


def hold_often(path: Path, is_over: Event) -> None:
    """Hold whatever a store holds, again and again, and read all of it."""
    while not is_over.is_set():
        with Store(path).hold() as installed:
            for name, digest in installed.digests.items():
                verify_file(installed.folder / name, digest)


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
            others.append(pool.submit(install_archive, store, ARCHIVE, entry, FolderSource(Path("nowhere"))))
            assert waits.wait(60)
            return super().open(path)

    caplog.set_level(logging.INFO, "morphstream.boot")
    others: list[Future[bool]] = []
    notice, log = Notice(), logging.getLogger("morphstream.boot")
    log.addHandler(notice)
    with ThreadPoolExecutor(1) as pool:
        assert install_archive(store, ARCHIVE, entry, Slow(layout))
        text = (store.path / "current.json").read_bytes()
        assert not others[0].result()
    log.removeHandler(notice)
    assert (store.path / "current.json").read_bytes() == text


def test_after_a_kill_at_any_moment_the_next_start_is_good_and_nothing_is_left(tmp_path: Path) -> None:
    met = kill_boots(tmp_path, times=8, seed=1)
    assert sum(times for what, times in met.items() if what.startswith("killed in ")) == 8


def test_a_reader_keeps_its_generation_while_two_updates_pass(store: Store, layout: Path, tmp_path: Path) -> None:
    boot_from(store.path, layout)
    held = store.current().folder
    is_held, may_go = FORKS.Event(), FORKS.Event()
    reader = FORKS.Process(target=hold, args=(store.path, is_held, may_go))
    reader.start()
    assert is_held.wait(60)
    second = update(store, layout, 1)
    third = update(store, layout, 2)
    assert folders_of(store) == {held, third} != {held, second}
    assert store.clean() == (held,)
    may_go.set()
    while not (tmp_path / "read").exists():
        assert reader.is_alive()
        reader.join(0.01)
    assert folders_of(store) == {held, third}  # no update has come by yet
    assert store.clean() == ()
    assert folders_of(store) == {third}
    reader.kill()
    reader.join()


def test_a_killed_reader_holds_nothing(store: Store, layout: Path) -> None:
    boot_from(store.path, layout)
    is_held, may_go = FORKS.Event(), FORKS.Event()
    reader = FORKS.Process(target=hold, args=(store.path, is_held, may_go))
    reader.start()
    assert is_held.wait(60)
    reader.kill()
    reader.join()
    after = update(store, layout, 1)
    assert folders_of(store) == {after}


def test_readers_at_any_moment_of_updates_read_what_they_hold(store: Store, tmp_path: Path) -> None:
    layouts = [publish(tmp_path / f"layout{build}", CPU, build=build) for build in range(2)]
    boot_from(store.path, layouts[0])
    is_over = FORKS.Event()
    readers = [FORKS.Process(target=hold_often, args=(store.path, is_over)) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(20):
        boot_from(store.path, layouts[(number + 1) % 2])
    is_over.set()
    for reader in readers:
        reader.join(60)
        assert reader.exitcode == 0
    assert store.clean() == ()


def test_a_step_back_to_what_is_still_held_reads_no_archive(store: Store, layout: Path) -> None:
    boot_from(store.path, layout)
    entry = read_archives(layout).archives[ARCHIVE]
    with store.hold() as before:
        inode = before.folder.stat().st_ino
        update(store, layout, 1)
        assert install_archive(store, ARCHIVE, entry, FolderSource(Path("nowhere")))
        assert store.current() == before
        assert before.folder.stat().st_ino == inode
    assert folders_of(store) == {before.folder}
    store.verify()


def test_a_held_generation_that_is_damaged_stays_beside_its_successor(store: Store, layout: Path) -> None:
    boot_from(store.path, layout)
    with store.hold() as damaged:
        (damaged.folder / "det_10g.bin").write_bytes(bytes(5000))
        store.condemn(damaged)
        assert not boot_from(store.path, layout)
        assert store.current().folder == damaged.folder.with_name(f"{damaged.folder.name}.1")
        assert folders_of(store) == {damaged.folder, store.current().folder}
        store.verify()
    assert store.clean() == ()
    assert folders_of(store) == {store.current().folder}


def test_condemning_what_was_replaced_changes_nothing(store: Store, layout: Path) -> None:
    boot_from(store.path, layout)
    before = store.current()
    after = update(store, layout, 1)
    store.condemn(before)
    assert store.current().folder == after


def test_a_generation_that_goes_while_it_is_being_held_is_not_returned(store: Store, layout: Path) -> None:
    boot_from(store.path, layout)
    old = (store.path / "current.json").read_bytes()
    after = update(store, layout, 1)

    class Late(Store):
        """A store whose record is read once before an update, and then after it."""

        texts = iter([old])

        def _read_current(self) -> bytes:
            return next(self.texts, None) or super()._read_current()

    with Late(store.path).hold() as installed:
        assert installed.folder == after
    Late.texts = iter([old])
    assert Late(store.path).current().folder == after


def test_a_store_without_engines_cannot_be_held(store: Store) -> None:
    with pytest.raises(NoEngineError, match=r"run: morphstream boot$"), store.hold():
        pass
    assert store.clean() == ()
    assert not store.path.exists()


def test_a_clean_removes_what_killed_processes_left_and_nothing_else(store: Store, layout: Path) -> None:
    boot_from(store.path, layout)
    for left in ("caches/0123456789abcdef", ".staging/archive"):
        (store.path / left).mkdir(parents=True)
        (store.path / left / "half").touch()
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
        install_archive(hasty, ARCHIVE, entry, FolderSource(layout))
    assert install_archive(hasty, ARCHIVE, entry, FolderSource(layout))


def test_the_lock_names_its_process_while_it_is_taken(store: Store, layout: Path) -> None:
    seen = []

    class Witness(FolderSource):
        """A source that reads the lock's file."""

        def open(self, path: str) -> BinaryIO:
            """Read the lock's file, and open an archive."""
            seen.append((store.path / ".lock").read_text())
            return super().open(path)

    install_archive(store, ARCHIVE, read_archives(layout).archives[ARCHIVE], Witness(layout))
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
    with locked(store.path / ".lock", "process 7 on here\n"), pytest.raises(TimeoutError):
        boot(Store(store.path, timeout_s=0.1), source=layout, machine=MACHINE)
    assert f"store {store.path}: waiting for process 7 on here, 0 s" in terminal.getvalue()
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
        """Return what lies there, or at first what does elsewhere."""
        return (self.looks.pop() if self.looks else Path(self)).stat(follow_symlinks=follow_symlinks)


def test_a_file_that_was_replaced_before_its_lock_was_there_is_not_shared(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    path = Replaced(tmp_path / "manifest.json")
    path.touch()
    Replaced.looks = [tmp_path / "other"]
    with pytest.raises(FileNotFoundError, match="removed while it was opened"), shared(path):
        pass
    with shared(path):
        pass


@pytest.mark.parametrize("other", ["other", "none"], ids=["replaced", "removed"])
def test_a_lock_whose_file_was_replaced_before_it_was_there_is_taken_anew(tmp_path: Path, other: str) -> None:
    (tmp_path / "other").touch()
    Replaced.looks = [tmp_path / other]
    with alone(Replaced(tmp_path / ".lock"), 1.0):
        assert Replaced.looks == []
        with (tmp_path / ".lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("seconds", [0, 2**31], ids=["1970", "2038"])
def test_a_clock_that_jumps_changes_nothing(store: Store, layout: Path, seconds: int) -> None:
    boot_from(store.path, layout)
    for path in (store.path, *store.path.rglob("*")):
        os.utime(path, (seconds, seconds))
    assert boot_from(store.path, layout)
    with store.hold() as before:
        after = update(store, layout, 1)
        assert folders_of(store) == {before.folder, after}
    assert store.clean() == ()
    assert folders_of(store) == {after}


def test_an_open_swapper_keeps_the_files_of_models_that_it_opens_later(own_store: Store, layout: Path) -> None:
    before, frame = own_store.current(), astronaut()
    with SwapPipeline(own_store, look=Look(occluder=None), threads=1) as swap:
        after = update(own_store, layout, 1)
        swap(frame, swap.identify(frame), look=Look(occluder="xseg_1"))
        assert folders_of(own_store) == {before.folder, after}
    assert own_store.clean() == ()
    assert folders_of(own_store) == {after}
