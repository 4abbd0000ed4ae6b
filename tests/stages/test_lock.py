"""dvc.lock is written as DVC would write it, and a broken one is refused."""

from pathlib import Path

import pytest

from morphstream.artifact.errors import MorphstreamError
from stages.lock import DVC_LOCK, read_lock, write_lock
from tests.stages import ROOT


@pytest.fixture
def lock(workspace: Path) -> bytes:
    """Enter a workspace with the project's lock, as DVC wrote it."""
    data = (ROOT / "dvc.lock").read_bytes()
    DVC_LOCK.write_bytes(data)
    return data


def test_what_is_read_and_written_again_has_the_bytes_that_dvc_wrote(lock: bytes) -> None:
    stages = read_lock()
    assert len(stages) > 100
    DVC_LOCK.unlink()
    write_lock(stages)
    assert DVC_LOCK.read_bytes() == lock


def test_a_lock_that_says_the_same_in_another_order_is_not_touched(lock: bytes) -> None:
    write_lock(dict(reversed(read_lock().items())))
    assert DVC_LOCK.read_bytes() == lock


def test_without_a_lock_there_are_no_stages(workspace: Path) -> None:
    assert read_lock() == {}
    write_lock({})
    assert not DVC_LOCK.exists()


@pytest.mark.parametrize("data", [b"", b"schema: '2.0'\nsta", b"schema: '2.0'\nstages:\n  a:\n    cmd: 'b"])
def test_half_a_lock_is_refused_and_stays(workspace: Path, data: bytes) -> None:
    DVC_LOCK.write_bytes(data)
    with pytest.raises(MorphstreamError, match=r"dvc\.lock: expected .*, seen a broken file; run: git checkout"):
        write_lock({})
    assert DVC_LOCK.read_bytes() == data
