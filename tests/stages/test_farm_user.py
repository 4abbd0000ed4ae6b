"""DVC runs for a user whom the system knows neither by name nor by a home that may be entered."""

import os
from pathlib import Path

import pytest

from stages.farm.pipeline import open_repo
from stages.workspace import Workspace
from tests.stages import copy_pipeline


@pytest.fixture
def dvc(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workspace:
    """A workspace of DVC, whose settings no test may leave behind."""
    copy_pipeline(workspace)
    (workspace.root / ".dvc").mkdir(exist_ok=True)
    (workspace.root / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n", "utf-8")
    for name in ("HOME", "USER"):
        monkeypatch.setenv(name, os.environ.get(name, "tests"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return workspace


def test_a_home_that_cannot_be_entered_is_none(dvc: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(dvc.root / "none"))
    with open_repo(dvc) as repo:
        assert Path(repo.root_dir).samefile(dvc.root)
    assert os.environ["HOME"] == "/nonexistent"
