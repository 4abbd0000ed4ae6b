"""dvc.lock is written as DVC would write it, and a broken one is refused."""

import pytest

from morphstream.artifact.errors import MorphstreamError
from stages.lock import read_lock, write_lock
from stages.workspace import Workspace
from tests.stages import ROOT


@pytest.fixture
def lock(workspace: Workspace) -> bytes:
    """Enter a workspace with the project's lock, as DVC wrote it."""
    data = (ROOT / "dvc.lock").read_bytes()
    workspace.dvc_lock.write_bytes(data)
    return data


def test_what_is_read_and_written_again_has_the_bytes_that_dvc_wrote(workspace: Workspace, lock: bytes) -> None:
    stages = read_lock(workspace.dvc_lock)
    assert len(stages) > 100
    workspace.dvc_lock.unlink()
    write_lock(workspace.dvc_lock, stages)
    assert workspace.dvc_lock.read_bytes() == lock


def test_a_lock_of_the_same_stages_in_another_order_is_not_touched(workspace: Workspace, lock: bytes) -> None:
    write_lock(workspace.dvc_lock, dict(reversed(read_lock(workspace.dvc_lock).items())))
    assert workspace.dvc_lock.read_bytes() == lock


def test_without_a_lock_there_are_no_stages(workspace: Workspace) -> None:
    assert read_lock(workspace.dvc_lock) == {}
    write_lock(workspace.dvc_lock, {})
    assert not workspace.dvc_lock.exists()


@pytest.mark.parametrize("data", [b"", b"schema: '2.0'\nsta", b"schema: '2.0'\nstages:\n  a:\n    cmd: 'b"])
def test_half_a_lock_is_refused_and_stays(workspace: Workspace, data: bytes) -> None:
    workspace.dvc_lock.write_bytes(data)
    with pytest.raises(MorphstreamError, match=r"dvc\.lock: expected .*, seen a broken file; run: git checkout"):
        write_lock(workspace.dvc_lock, {})
    assert workspace.dvc_lock.read_bytes() == data
