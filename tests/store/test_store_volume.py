"""Whatever the volume refuses, one line says which and what to do, nothing is left, and the last good store serves."""

import errno
import io
import multiprocessing
import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from morphstream.artifact.errors import DigestMismatchError, FetchError, NoEngineError
from morphstream.source.fetch import archive_delivery
from morphstream.source.folder import FolderSource
from morphstream.store.install import install
from morphstream.store.store import Installed, Store
from tests.layouts import CPU, archive_of, publish, read_archives

FORKS = multiprocessing.get_context("forkserver")
ARCHIVE = archive_of(CPU)


def put(store: Store, layout: Path) -> Installed:
    assert install(store, archive_delivery(ARCHIVE, read_archives(layout).archives[ARCHIVE], FolderSource(layout)))
    return store.current()


def refusal_of(store: Store, layout: Path) -> OSError:
    """Return what an install of other bytes is refused with, and check that nothing has changed."""
    before = store.current()
    publish(layout, CPU, build=1)
    with pytest.raises(OSError, match=f"store {store.path}: expected a folder to write to, seen ") as caught:
        put(store, layout)
    assert len(str(caught.value).splitlines()) == 1
    assert store.current() == before
    store.verify()
    assert {path.name for path in store.path.iterdir()} == {".lock", "caches", "current.json"}
    assert list((store.path / "caches").iterdir()) == [before.folder]
    return caught.value


@pytest.fixture
def volume() -> Iterator[Path]:
    """A volume of 256 KiB, mounted."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "morphstream-tests", folder]
        try:
            done = subprocess.run(mount, capture_output=True, text=True)
            seen = done.stderr.strip() if done.returncode else ""
        except OSError as error:
            seen = str(error)
        if seen:
            pytest.skip(f"expected the right to mount a small volume, seen: {seen}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def remount(volume: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(volume)], check=True)


def test_a_full_volume_says_so_and_serves_on(volume: Path, layout: Path) -> None:
    store = Store(volume / "store")
    put(store, layout)
    (volume / "other").write_bytes(bytes((os.statvfs(volume).f_bavail - 4) * os.statvfs(volume).f_bsize))
    error = refusal_of(store, layout)
    assert error.errno == errno.ENOSPC
    assert str(error).endswith("; make room there, or name another store")
    (volume / "other").unlink()
    put(store, layout)


def test_a_read_only_volume_says_so_and_serves_on(volume: Path, layout: Path) -> None:
    store = Store(volume / "store")
    put(store, layout)
    remount(volume, "ro")
    try:
        with store.hold() as installed:
            assert installed == store.current()
        assert refusal_of(store, layout).errno == errno.EROFS
        with pytest.raises(OSError, match=r"; mount it for writing, or boot where it is and share it$"):
            store.clean()
    finally:
        remount(volume, "rw")


def _install_as_nobody(path: Path, layout: Path) -> None:
    os.seteuid(65534)
    store = Store(path)
    with store.hold():
        store.verify()
    try:
        put(store, layout)
    except OSError as error:
        os.seteuid(0)
        (path.parent / "message").write_text(str(error))


def _verify_as_nobody(path: Path) -> None:
    os.seteuid(65534)
    with pytest.raises(DigestMismatchError, match="seen Permission denied; fetch or build it again"):
        Store(path).verify()


def test_a_file_that_cannot_be_read_is_a_damage_that_verify_finds(volume: Path) -> None:
    store, layout = Store(volume / "store"), publish(volume / "layout", CPU)
    (put(store, layout).folder / "det_10g.bin").chmod(0)
    process = FORKS.Process(target=_verify_as_nobody, args=(store.path,))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_a_store_of_another_user_says_so_and_can_be_held(volume: Path) -> None:
    store, layout = Store(volume / "store"), publish(volume / "layout", CPU)
    before = put(store, layout)
    publish(volume / "layout", CPU, build=1)
    process = FORKS.Process(target=_install_as_nobody, args=(store.path, layout))
    process.start()
    process.join()
    assert process.exitcode == 0
    message = (volume / "message").read_text()
    assert message.endswith(
        "seen Permission denied of " + f"{store.path}/.lock; let this user write there, or name another store"
    )
    assert store.current() == before


def _install_with_small_files(path: Path, layout: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    try:
        put(Store(path), layout)
    except OSError as error:
        (path.parent / "message").write_text(str(error))


def test_a_limit_on_file_sizes_says_so_and_serves_on(store: Store, layout: Path, tmp_path: Path) -> None:
    before = put(store, layout)
    publish(layout, CPU, build=1)
    process = FORKS.Process(target=_install_with_small_files, args=(store.path, layout))
    process.start()
    process.join()
    assert process.exitcode == 0
    message = (tmp_path / "message").read_text()
    assert message.endswith("seen File too large; raise the limit on file sizes (ulimit -f), or name another store")
    assert store.current() == before
    assert list((store.path / "caches").iterdir()) == [before.folder]


@pytest.mark.parametrize("name", ["caches", "current.json"])
@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        pytest.param(errno.EXDEV, "put all of it on one volume", id="another volume"),
        pytest.param(errno.ESTALE, "mount the volume again", id="a stale handle"),
        pytest.param(errno.EPERM, "let this user write there", id="not permitted"),
        pytest.param(errno.EACCES, "let this user write there", id="permission denied"),
        pytest.param(errno.EIO, "repair that, and boot again", id="a broken disk"),
    ],
)
def test_a_rename_that_fails_says_so_and_serves_on(
    store: Store, layout: Path, name: str, number: int, remedy: str
) -> None:
    put(store, layout)

    def rename(source: Path, target: Path) -> None:
        if name in target.relative_to(store.path).parts:
            raise OSError(number, os.strerror(number), str(source), None, str(target))
        source.replace(target)

    error = refusal_of(Store(store.path, rename=rename), layout)
    assert error.errno == number
    assert f"; {remedy}" in str(error)
    put(store, layout)
    store.verify()


def test_a_rename_that_is_done_but_reported_as_failed_leaves_a_good_store(store: Store, layout: Path) -> None:
    before = put(store, layout)
    publish(layout, CPU, build=1)

    def rename(source: Path, target: Path) -> None:
        source.replace(target)
        if target.name == "current.json":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with pytest.raises(OSError, match=r"seen Stale file handle; mount the volume again, and boot again$"):
        put(Store(store.path, rename=rename), layout)
    assert store.current().folder != before.folder
    assert list((store.path / "caches").iterdir()) == [store.current().folder]
    store.verify()


def test_a_store_that_cannot_be_made_says_so(tmp_path: Path, layout: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        OSError, match=r"store .*/file/store: expected a folder to write to, seen Not a directory; move it away"
    ):
        put(Store(tmp_path / "file/store"), layout)


def test_every_byte_of_a_store_is_checked(store: Store, layout: Path) -> None:
    installed = put(store, layout)
    for path in (store.path / "current.json", *sorted(installed.folder.iterdir())):
        data = path.read_bytes()
        for place in range(0, len(data), 1 if path.suffix == ".json" else 499):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with pytest.raises((DigestMismatchError, NoEngineError)):
                store.verify()
        path.write_bytes(data)
    store.verify()


@pytest.mark.parametrize("text", ["", "{}", '{"format_version": 1}'], ids=["empty", "no keys", "an earlier version"])
def test_a_record_of_another_form_is_refused_and_mended_without_an_archive(
    store: Store, layout: Path, text: str
) -> None:
    before = put(store, layout)
    (store.path / "current.json").write_text(text)
    with pytest.raises(NoEngineError, match=f"^store {store.path} is damaged: expected .*; run: morphstream boot$"):
        store.current()
    (layout / "archives" / ARCHIVE).unlink()
    assert put(store, layout) == before


def test_a_source_that_breaks_off_is_the_sources_fault(store: Store, layout: Path) -> None:
    class Stream(io.BytesIO):
        """A stream that can't be read."""

        def read(self, size: int | None = -1) -> bytes:
            """Fail."""
            raise OSError(errno.EIO, f"{os.strerror(errno.EIO)}, {size}")

    class Breaking(FolderSource):
        """A source whose archives can't be read."""

        def open(self, path: str) -> BinaryIO:
            """Open one."""
            return Stream(path.encode())

    with pytest.raises(
        FetchError, match=rf"^{ARCHIVE}: expected its bytes, seen Input/output error, \d+; fetch it again$"
    ):
        install(store, archive_delivery(ARCHIVE, read_archives(layout).archives[ARCHIVE], Breaking(layout)))
