"""An output is there whole or not at all, and what was there before stays until the new one is complete."""

import os
from pathlib import Path

import pytest

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.regular_file import UnfitFileError
from stages.files import new_folder, read_json, write_whole
from tests.stages import files_in


def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "above" / "folder"
    for name in ("old", "new"):
        with new_folder(folder) as part:
            (part / name).write_bytes(b"")
            assert not (folder / name).exists()
    assert files_in(tmp_path) == {"above/folder/new": b""}


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["an error", "an interrupt"])
def test_a_block_that_breaks_leaves_the_old_folder(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_bytes(b"old")

    def break_halfway() -> None:
        with new_folder(tmp_path / "folder") as part:
            (part / "new").write_bytes(b"new")
            raise error

    with pytest.raises(type(error)):
        break_halfway()
    assert files_in(tmp_path) == {"folder/old": b"old"}
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_files_of_a_killed_run_are_not_used(tmp_path: Path) -> None:
    (tmp_path / ".folder.0123abcd.part/new").mkdir(parents=True)
    (tmp_path / ".folder.0123abcd.part/new/half").write_bytes(b"half")
    with new_folder(tmp_path / "folder") as part:
        assert not list(part.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_an_old_folder_that_a_killed_run_had_put_aside_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    (tmp_path / ".folder.0123abcd.part/old").mkdir(parents=True)
    (tmp_path / ".folder.0123abcd.part/old/old").write_bytes(b"old")
    with new_folder(tmp_path / "folder") as part:
        assert files_in(tmp_path / "folder") == {"old": b"old"}
        (part / "new").write_bytes(b"new")
    assert files_in(tmp_path) == {"folder/new": b"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", [".folder.part", ".folder.old", "folder.old", ".file.part"])
def test_what_others_keep_beside_it_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine").write_bytes(b"mine")
    with new_folder(tmp_path / "folder"):
        pass
    write_whole(tmp_path / "file", b"data")
    assert files_in(tmp_path) == {f"{name}/mine": b"mine", "file": b"data"}


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "above" / "file"
    for data in (b"old", b"new"):
        write_whole(path, data)
        assert files_in(tmp_path) == {"above/file": data}


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match=r".*"):
        write_whole(tmp_path / "file", b"data")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize(
    "text", ["", "{", '"' * 3, "[" * 100_000, "\xff"], ids=["empty", "cut", "odd", "deep", "Latin-1"]
)
def test_what_is_no_json_is_refused_in_one_line_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_bytes(text.encode("latin-1"))
    with pytest.raises(ManifestError, match=f"^{tmp_path}/file: expected JSON, seen a fault: .*; run `dvc repro`$"):
        read_json(tmp_path / "file")


def test_a_pipe_in_the_place_of_json_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")
    with pytest.raises(UnfitFileError, match="seen a pipe"):
        read_json(tmp_path / "file")
