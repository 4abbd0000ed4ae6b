"""Processes share a store: what a reader holds stays until it ends, whatever others install meanwhile."""

import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from morphstream.artifact.digest import verify_file
from morphstream.artifact.errors import NoEngineError
from morphstream.boot.boot import boot
from morphstream.face.look import Look
from morphstream.pipeline import SwapPipeline
from morphstream.source.fetch import archive_delivery
from morphstream.source.folder import FolderSource
from morphstream.store.install import install
from morphstream.store.store import Store
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
    """Hold what a store holds, read all of it when it may, and wait to be killed."""
    with Store(path).hold() as installed:
        is_held.set()
        may_go.wait(60)
        for name, digest in installed.manifest.digests.items():
            verify_file(installed.folder / name, digest)
    (path.parent / "read").touch()
    signal.pause()


def hold_often(path: Path, is_over: Event) -> None:
    """Hold whatever a store holds, again and again, and read all of it."""
    while not is_over.wait(0.002):
        with Store(path).hold() as installed:
            for name, digest in installed.manifest.digests.items():
                verify_file(installed.folder / name, digest)


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
        assert install(store, archive_delivery(ARCHIVE, entry, FolderSource(Path("nowhere"))))
        assert store.current() == before
        assert before.folder.stat().st_ino == inode
    assert folders_of(store) == {before.folder}
    store.verify()


def test_a_held_generation_that_is_damaged_stays_beside_its_successor(store: Store, layout: Path) -> None:
    boot_from(store.path, layout)
    with store.hold() as damaged:
        (damaged.folder / "det_10g.bin").write_bytes(bytes(5000))
        store.invalidate(damaged)
        assert not boot_from(store.path, layout)
        assert store.current().folder == damaged.folder.with_name(f"{damaged.folder.name}.1")
        assert folders_of(store) == {damaged.folder, store.current().folder}
        store.verify()
    assert store.clean() == ()
    assert folders_of(store) == {store.current().folder}


def test_to_invalidate_what_was_replaced_changes_nothing(store: Store, layout: Path) -> None:
    boot_from(store.path, layout)
    before = store.current()
    after = update(store, layout, 1)
    store.invalidate(before)
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
