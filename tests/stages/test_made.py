"""A folder is kept, in its place or out of DVC's cache, only where it is whole and was made of the same things."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from stages.made import is_made_of, record_made_of, take_from_cache
from stages.workspace import Workspace
from tests.stages import files_in

OF = {"file": "sha256:00", "batches": (1, 2), "source": "11"}


def make(folder: Path, of: dict[str, Any] = OF) -> Path:
    """Make a folder of two files."""
    folder.mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"a" * 9)
    (folder / "manifest.json").write_bytes(b"{}")
    record_made_of(folder, of)
    return folder


def cache(workspace: Workspace, folder: Path, where: str = ".dvc/cache") -> dict[str, Any]:
    """Put a folder into DVC's cache, remove it, and return what dvc.lock would say."""

    def put(data: bytes, suffix: str = "") -> str:
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest() + suffix
        path = workspace.root / where / "files/md5" / md5[:2] / md5[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return md5

    files = files_in(folder)
    listing = [{"md5": put(data), "relpath": name} for name, data in sorted(files.items())]
    for name in files:
        (folder / name).unlink()
    folder.rmdir()
    return {
        "outs": [{"path": str(folder.relative_to(workspace.root)), "md5": put(json.dumps(listing).encode(), ".dir")}]
    }


def test_a_folder_that_was_recorded_is_made_of_the_same_things_alone(tmp_path: Path) -> None:
    folder = make(tmp_path / "engine")
    assert is_made_of(folder, OF)
    assert not is_made_of(folder, {**OF, "batches": (1, 4)})
    assert not is_made_of(tmp_path / "none", OF)


@pytest.mark.parametrize("alter", ["change", "remove", "add", "unrecord", "break"])
def test_a_folder_that_is_not_as_it_was_recorded_is_not_made(tmp_path: Path, alter: str) -> None:
    folder = make(tmp_path / "engine")
    if alter == "change":
        (folder / "a.bin").write_bytes(b"b" * 9)
    elif alter == "remove":
        (folder / "a.bin").unlink()
    elif alter == "add":
        (folder / "b.bin").write_bytes(b"")
    elif alter == "unrecord":
        (folder / "made_of.json").unlink()
    else:
        (folder / "made_of.json").write_bytes(b'{"made_of": ')
    assert not is_made_of(folder, OF)


@pytest.mark.parametrize("where", [".dvc/cache", ".dvc/elsewhere", "absolute"])
def test_a_folder_that_dvc_removed_comes_from_its_cache(workspace: Workspace, tmp_path: Path, where: str) -> None:
    if where != ".dvc/cache":
        (workspace.root / ".dvc").mkdir()
        setting = tmp_path / "absolute" if where == "absolute" else "elsewhere"
        (workspace.root / ".dvc/config.local").write_text(
            f"[core]\n    a = b%c\n[cache]\n    dir = {setting}\n", "utf-8"
        )
    folder = make(workspace.engines / "xseg_1/cpu")
    before = files_in(folder)
    locked = cache(workspace, folder, str(tmp_path / "absolute") if where == "absolute" else where)
    assert take_from_cache(workspace, locked, folder, OF)
    assert files_in(folder) == before


def test_what_is_in_its_place_stays_there(workspace: Workspace) -> None:
    folder = make(workspace.engines / "xseg_1/cpu")
    inode = (folder / "a.bin").stat().st_ino
    assert take_from_cache(workspace, {}, folder, OF)
    assert (folder / "a.bin").stat().st_ino == inode


@pytest.mark.parametrize("fault", ["other things", "not locked", "no cache", "a file less", "damaged", "a file"])
def test_what_the_cache_has_not_whole_or_of_other_things_is_not_taken(workspace: Workspace, fault: str) -> None:
    folder = make(workspace.engines / "xseg_1/cpu", {**OF, "source": "12"} if fault == "other things" else OF)
    locked = cache(workspace, folder)
    stored = workspace.root / ".dvc/cache/files/md5"
    content = next(path for path in stored.rglob("*") if path.is_file() and path.read_bytes() == b"a" * 9)
    if fault == "not locked":
        locked = {"outs": [{"path": "build/engines/xseg_2/cpu", "md5": locked["outs"][0]["md5"]}]}
    elif fault == "no cache":
        stored.rename(stored.with_name("gone"))
    elif fault == "a file less":
        content.unlink()
    elif fault == "damaged":
        content.write_bytes(b"b" * 9)
    elif fault == "a file":
        locked = {"outs": [{"path": "build/engines/xseg_1/cpu", "md5": content.parent.name + content.name}]}
    assert not take_from_cache(workspace, locked, folder, OF)
    assert not [name for name in files_in(workspace.root) if ".part" in name]
