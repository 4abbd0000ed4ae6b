"""A model is fetched byte for byte as pinned, or refused in one line and not written."""

import shutil

import pytest

from stages.origin.kit import KitOrigin
from stages.workspace import Workspace
from tests.stages import DOWNLOADS, PARAMS, files_in, original, reduced, refusal, run_stage, write_params


@pytest.mark.parametrize("name", ["fan_68_5", "det_10g"])
def test_a_model_of_the_kit_is_fetched_to_its_published_path(workspace: Workspace, name: str) -> None:
    write_params(workspace.root, reduced([name], ["cpu"]))
    shutil.copytree(DOWNLOADS, workspace.downloads)
    done = run_stage(workspace, "fetch", name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert files_in(workspace.build) == {PARAMS.model(name).file: original(name)}


def test_a_model_that_the_kit_has_not_is_refused(workspace: Workspace) -> None:
    data = reduced(["fan_68_5"], ["cpu"])
    data["models"]["fan_69"] = {**data["models"]["fan_68_5"], "file": "models/fan_69.onnx"}
    write_params(workspace.root, data)
    assert "fan_69: expected a model of the kit, seen none; set its origin to hub, or to folder" in refusal(
        workspace, "fetch", "fan_69"
    )
    assert not workspace.build.exists()


def test_an_altered_package_of_the_detector_is_not_used(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip can't replace it
    workspace.downloads.mkdir()
    (workspace.downloads / "scrfd-0.3.0.tar.gz").write_bytes(b"another package")
    write_params(workspace.root, reduced(["det_10g"], ["cpu"]))
    message = refusal(workspace, "fetch", "det_10g")
    assert "scrfd 0.3.0: expected pip to download it, seen ERROR: " in message
    assert "let pip reach a package index that has it, or set origin: hub" in message
    assert not workspace.build.exists()


def test_fetching_again_writes_nothing(workspace: Workspace) -> None:
    model = PARAMS.model("xseg_1")
    KitOrigin().fetch([model], workspace)
    before = (workspace.build / model.file).stat()
    KitOrigin().fetch([model], workspace)
    after = (workspace.build / model.file).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
