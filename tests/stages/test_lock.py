"""dvc.lock files are written as DVC would write them, in the order of their dvc.yaml; a broken one is refused."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from morphstream.artifact.errors import MorphstreamError
from stages.lists import pipeline_files
from stages.lock import lock_of, order_locks, read_lock, read_locks, write_lock
from stages.workspace import Workspace
from tests.stages import ROOT, copy_pipeline


@pytest.fixture
def locks(workspace: Workspace) -> dict[Path, bytes]:
    """Enter a workspace with the project's locks, as DVC wrote them."""
    copy_pipeline(workspace)
    found = {}
    for path in pipeline_files(workspace):
        shutil.copyfile(ROOT / lock_of(path).relative_to(workspace.root), lock_of(path))
        found[lock_of(path)] = lock_of(path).read_bytes()
    return found


def shuffled(stages: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return stages in another order, with others among them."""
    entries = [*stages.items(), *others.items()]
    random.Random(len(stages)).shuffle(entries)
    return dict(entries)


def dump(path: Path, stages: dict[str, Any]) -> None:
    """Write a lock as somebody else would."""
    path.write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False), "utf-8")


def test_what_is_read_and_written_again_has_the_bytes_that_dvc_wrote(
    workspace: Workspace, locks: dict[Path, bytes]
) -> None:
    assert len(read_locks(workspace)) == 40
    for path, data in locks.items():
        stages = read_lock(path)
        path.unlink()
        write_lock(path, stages)
        assert path.read_bytes() == data


def test_locks_of_any_order_become_those_of_their_dvc_yaml(workspace: Workspace, locks: dict[Path, bytes]) -> None:
    for path in locks:
        dump(path, shuffled(read_lock(path)))
    assert order_locks(workspace) == []
    assert {path: path.read_bytes() for path in locks} == locks


def test_stages_that_are_gone_leave_the_locks(workspace: Workspace, locks: dict[Path, bytes]) -> None:
    path = workspace.root / "pipeline/fetch/dvc.lock"
    dump(path, shuffled(read_lock(path), **{"fetch@gone": {"cmd": "a"}, "compile@cpu-gone": {"cmd": "b"}}))
    assert order_locks(workspace) == ["compile@cpu-gone", "fetch@gone"]
    assert path.read_bytes() == locks[path]


def test_locks_in_order_are_not_touched(workspace: Workspace, locks: dict[Path, bytes]) -> None:
    before = {path: path.stat().st_ino for path in locks}
    assert order_locks(workspace) == []
    assert {path: path.stat().st_ino for path in locks} == before


def test_a_part_of_the_locks_is_put_in_order_and_none_is_made(workspace: Workspace, locks: dict[Path, bytes]) -> None:
    path = workspace.root / "pipeline/engines/dvc.lock"
    few = {name: stage for name, stage in read_lock(path).items() if name.endswith(("xseg_1", "2dfan4"))}
    dump(path, dict(reversed(few.items())))
    (workspace.root / "dvc.lock").unlink()
    order_locks(workspace)
    assert list(read_lock(path).items()) == list(few.items())
    assert not (workspace.root / "dvc.lock").exists()
    assert len(locks) == 4


@pytest.mark.parametrize("data", [b"", b"schema: '2.0'\nsta", b"schema: '2.0'\nstages:\n  a:\n    cmd: 'b"])
def test_half_a_lock_is_refused_and_stays(workspace: Workspace, data: bytes) -> None:
    path = workspace.root / "dvc.lock"
    path.write_bytes(data)
    with pytest.raises(MorphstreamError, match=r"dvc\.lock: expected .*, seen a broken file; run: git checkout"):
        write_lock(path, {})
    assert path.read_bytes() == data
