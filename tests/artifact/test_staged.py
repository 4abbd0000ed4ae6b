"""What is on the way to its place is never in it half-written, and what killed processes left goes with the next."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from morphstream.artifact.regular_file import UnfitFileError
from morphstream.artifact.staged import left_parts, part_of, scratch_folder, staged_file

HALF = {
    "a file": "with staged_file(Path(sys.argv[1])) as file: file.write(b'half'); file.flush(); wait()",
    "a folder": "with scratch_folder(Path(sys.argv[1])) as new: (new / 'half').touch(); wait()",
}
WAIT = """
import sys, time
from pathlib import Path
from morphstream.artifact.staged import *

def wait():
    print(flush=True)
    time.sleep(60)
"""
KINDS = pytest.mark.parametrize("kind", HALF)


@contextmanager
def writing(kind: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have a process write, and kill it at the end."""
    with subprocess.Popen([sys.executable, "-c", WAIT + HALF[kind], str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def write(kind: str, path: Path) -> None:
    """Write what a path names, or use a folder beside it."""
    if kind == "a file":
        with staged_file(path) as file:
            file.write(b"whole")
    else:
        with scratch_folder(path):
            pass


def test_a_file_is_there_once_it_is_complete(tmp_path: Path) -> None:
    for data in (b"old", b"new"):
        with staged_file(tmp_path / "name") as file:
            file.write(data)
            assert (tmp_path / "name").exists() == (data == b"new")
        assert (tmp_path / "name").read_bytes() == data
    assert len(list(tmp_path.iterdir())) == 1


def test_a_block_that_raises_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"old")
    for staged in (staged_file, scratch_folder):
        with pytest.raises(KeyboardInterrupt), staged(tmp_path / "name"):
            raise KeyboardInterrupt
    assert (tmp_path / "name").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_is_replaced_and_what_it_names_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "name").symlink_to("mine")
    write("a file", tmp_path / "name")
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert not (tmp_path / "name").is_symlink()


@KINDS
def test_an_error_names_what_was_to_be_written_and_not_its_part(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as caught:
        write(kind, tmp_path / "file/name")
    assert caught.value.filename == str(tmp_path / "file/name")


def test_what_is_neither_a_file_nor_a_link_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "name")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnfitFileError, match="expected a regular file, seen a pipe"):
        write("a file", tmp_path / "name")
    with pytest.raises(IsADirectoryError):
        write("a file", tmp_path / "folder")
    assert (tmp_path / "name").is_fifo()
    assert len(list(tmp_path.iterdir())) == 2


@KINDS
def test_what_a_killed_process_left_goes_and_what_one_is_writing_stays(tmp_path: Path, kind: str) -> None:
    with writing(kind, tmp_path / "name") as process:
        write(kind, tmp_path / "name")
        assert len(left_parts(tmp_path / "name")) == 1
        process.send_signal(signal.SIGTERM)
        process.wait()
        assert len(left_parts(tmp_path / "name")) == 1
    write(kind, tmp_path / "name")
    assert left_parts(tmp_path / "name") == []


@KINDS
@pytest.mark.parametrize("name", [".other.0123abcd.part", ".name.part", ".name.0123.part", "name.0123abcd.part"])
def test_what_has_another_name_stays(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine") if kind == "a file" else (tmp_path / name / "mine").mkdir(parents=True)
    write(kind, tmp_path / "name")
    assert (tmp_path / name).exists()


@KINDS
def test_what_is_of_another_kind_stays_and_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / ".name.00000000.part").symlink_to("mine")
    os.mkfifo(tmp_path / ".name.00000001.part")
    if kind == "a file":
        (tmp_path / ".name.00000002.part").mkdir()
    else:
        (tmp_path / ".name.00000002.part").touch()
    start = time.monotonic()
    write(kind, tmp_path / "name")
    assert time.monotonic() - start < 5
    assert len(left_parts(tmp_path / "name")) == 3


def test_the_longest_name_that_a_file_system_has_can_be_written(tmp_path: Path) -> None:
    for name in ("n" * 255, "ü" * 127):
        write("a file", tmp_path / name)
        assert part_of(tmp_path / name).name != part_of(tmp_path / name).name
    assert len(list(tmp_path.iterdir())) == 2
