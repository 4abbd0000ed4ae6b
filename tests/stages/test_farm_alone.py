"""Another DVC is named, and so is a lock that was left behind, with the file to remove."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.regular_file import UnfitFileError
from stages.farm.alone import check_alone, command_of, holder


@pytest.fixture
def other() -> Iterator[int]:
    """A process that is no DVC."""
    with subprocess.Popen(["sleep", "60"]) as process:
        while command_of(process.pid) != "sleep 60":
            pass
        yield process.pid
        process.kill()


@pytest.fixture
def dvc() -> Iterator[int]:
    """A process whose command is DVC's."""
    with subprocess.Popen(["bash", "-c", "exec -a 'python dvc repro' sleep 60"]) as process:
        while "dvc" not in (command_of(process.pid) or "") or "bash" in (command_of(process.pid) or ""):
            pass
        yield process.pid
        process.kill()


def write(folder: Path, pid: int) -> Path:
    path = folder / "rwlock"
    path.write_text(json.dumps({"write": {"build/x": {"pid": pid, "cmd": "dvc repro"}}, "read": {}}), "utf-8")
    return path


def test_without_a_list_and_with_one_of_processes_that_ended_nothing_is_refused(tmp_path: Path) -> None:
    check_alone(tmp_path)
    for pid in (_ended(), 2**40):
        path = write(tmp_path, pid)
        check_alone(tmp_path)
        assert path.exists()


def _ended() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_a_dvc_that_runs_is_named(tmp_path: Path, dvc: int) -> None:
    path = write(tmp_path, dvc)
    with pytest.raises(MorphstreamError) as caught:
        check_alone(tmp_path)
    running = f"seen one that runs (process {dvc}: dvc repro); wait for it, or if it isn't DVC remove {path}"
    assert str(caught.value) == f"expected no other DVC here, {running}"


def test_a_process_that_is_another_program_by_now_is_named_and_the_file_to_remove(tmp_path: Path, other: int) -> None:
    path = write(tmp_path, other)
    with pytest.raises(MorphstreamError) as caught:
        check_alone(tmp_path)
    seen = f"seen {path} name process {other}, which is another program by now (sleep 60)"
    assert str(caught.value) == f"expected no other DVC here, {seen}; remove that file"
    assert path.exists()


@pytest.mark.parametrize(
    "text", ["", '{"read": {"', "[]", '{"write": {"a": 1}}', '{"write": {"a": {"pid": "x", "cmd": ""}}}']
)
def test_half_a_list_is_removed_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "rwlock"
    path.write_text(text, "utf-8")
    check_alone(tmp_path)
    assert not path.exists()
    assert capsys.readouterr().err == f"{path}: removed, as a DVC that was killed left half of it\n"


def test_a_list_that_is_no_file_is_neither_waited_for_nor_removed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rwlock")
    with pytest.raises(UnfitFileError, match="seen a pipe"):
        check_alone(tmp_path)
    assert (tmp_path / "rwlock").is_fifo()


def test_who_holds_the_lock_is_known_by_its_number(tmp_path: Path, other: int) -> None:
    assert holder(tmp_path) == ""
    (tmp_path / "lock").write_text(f"{other}\n", "ascii")
    assert holder(tmp_path) == f" (process {other}: sleep 60)"
    (tmp_path / "lock").write_text("none", "ascii")
    assert holder(tmp_path) == ""
    assert command_of(os.getpid())
