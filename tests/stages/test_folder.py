"""A person's own files come out of their folder as pinned; one in build/ that nobody else has is never overwritten."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import FetchError
from stages.origin.folder import FolderOrigin
from stages.origin.keep import check_replaceable
from stages.origin.kit import KitOrigin
from stages.params import Params, load_params
from stages.workspace import Workspace
from tests.stages import files_in, original, reduced, refusal, run_stage, write_params
from tests.stages.own_files import write_in_parts, write_own

NAME, FILE = "xseg_1", "models/xseg_1.onnx"


def pinned(workspace: Workspace, data: bytes, **more: Any) -> Params:
    """Write params with a model that comes from a folder beside one of the kit."""
    digest, params = digest_of(data), reduced([NAME, "fan_68_5"], ["cpu"])
    params["models"][NAME] |= {"origin": "folder", "sha256": digest.sha256, "bytes": digest.bytes, **more}
    return write_params(workspace.root, params)


def fetched(workspace: Workspace, folder: Path | None) -> None:
    FolderOrigin(folder).fetch([load_params(workspace.params).model(NAME)], workspace)


@pytest.mark.parametrize("place", [FILE, "xseg_1.onnx", "some/where/xseg_1.onnx", "another name.onnx"])
def test_a_file_is_found_by_its_path_its_name_or_its_bytes(workspace: Workspace, tmp_path: Path, place: str) -> None:
    data = write_own(tmp_path / "own" / place, NAME)
    write_own(tmp_path / "own/else.onnx", NAME, seed=2)
    pinned(workspace, data)
    fetched(workspace, tmp_path / "own")
    assert files_in(workspace.build) == {FILE: data}


def test_of_several_files_of_one_name_the_pinned_one_comes(workspace: Workspace, tmp_path: Path) -> None:
    write_own(tmp_path / "own" / FILE, NAME, seed=2)
    data = write_own(tmp_path / "own/new/xseg_1.onnx", NAME)
    pinned(workspace, data)
    fetched(workspace, tmp_path / "own")
    assert files_in(workspace.build) == {FILE: data}


def test_where_the_folder_is_is_said_by_the_environment_or_an_option(workspace: Workspace, tmp_path: Path) -> None:
    data = write_own(tmp_path / "own/xseg_1.onnx", NAME)
    pinned(workspace, data)
    message = refusal(workspace, "fetch", NAME)
    assert message.endswith("seen none; set MORPHSTREAM_MODELS to it, or run: python -m stages.fetch --from FOLDER")
    assert run_stage(workspace, "fetch", MORPHSTREAM_MODELS=str(tmp_path / "own")).returncode == 0
    expected = {FILE: data, "models/fan_68_5.onnx": original("fan_68_5")}
    assert files_in(workspace.build) == expected
    assert run_stage(workspace, "fetch").returncode == 0  # it is there, so that no folder is needed
    (workspace.build / FILE).unlink()
    assert run_stage(workspace, "fetch", "--from", str(tmp_path / "own")).returncode == 0
    assert files_in(workspace.build) == expected


def test_all_models_may_come_from_a_folder(workspace: Workspace, tmp_path: Path) -> None:
    data = write_own(tmp_path / "own/xseg_1.onnx", NAME)
    params, digest = reduced([NAME], ["cpu"]), digest_of(data)
    params["origin"] = "folder"
    params["models"][NAME] |= {"sha256": digest.sha256, "bytes": digest.bytes}
    write_params(workspace.root, params)
    assert run_stage(workspace, "fetch", MORPHSTREAM_MODELS=str(tmp_path / "own")).returncode == 0
    assert files_in(workspace.build) == {FILE: data}


def test_a_model_in_parts_comes_as_one_file(workspace: Workspace, tmp_path: Path) -> None:
    write_in_parts(tmp_path / "own/xseg_1.onnx", NAME, "xseg_1.onnx.data")
    pinned(workspace, b"not yet")
    assert run_stage(workspace, "fetch", "--pin", str(tmp_path / "own"), NAME).returncode == 0
    assert run_stage(workspace, "fetch", NAME, "--from", str(tmp_path / "own")).returncode == 0
    (data,) = files_in(workspace.build).values()
    assert load_params(workspace.params).model(NAME).pin == digest_of(data)


def test_other_bytes_than_pinned_and_no_file_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    write_own(tmp_path / "own/xseg_1.onnx", NAME)
    pinned(workspace, b"another")
    with pytest.raises(FetchError, match=r"with sha256 .* there, seen .*xseg_1\.onnx with other bytes"):
        fetched(workspace, tmp_path / "own")
    (tmp_path / "own/xseg_1.onnx").unlink()
    with pytest.raises(FetchError, match="there, seen none; name the right folder, or pin what it has"):
        fetched(workspace, tmp_path / "own")
    with pytest.raises(FetchError, match="expected the folder of your own models, seen no folder"):
        fetched(workspace, tmp_path / "nowhere")
    assert not workspace.build.exists()


def test_one_fault_does_not_stop_the_others(workspace: Workspace, tmp_path: Path) -> None:
    data = write_own(tmp_path / "own/xseg_1.onnx", NAME)
    digest, params = digest_of(data), reduced(["xseg_2", NAME], ["cpu"]) | {"origin": "folder"}
    params["models"][NAME] |= {"sha256": digest.sha256, "bytes": digest.bytes}
    write_params(workspace.root, params)
    message = refusal(workspace, "fetch", "--from", str(tmp_path / "own"))
    assert "expected models/xseg_2.onnx" in message
    assert files_in(workspace.build) == {FILE: data}


def test_a_link_in_build_becomes_a_plain_file(workspace: Workspace, tmp_path: Path) -> None:
    data = write_own(tmp_path / "own/xseg_1.onnx", NAME)
    pinned(workspace, data)
    (workspace.build / FILE).parent.mkdir(parents=True)
    (workspace.build / FILE).symlink_to(tmp_path / "own/xseg_1.onnx")
    fetched(workspace, tmp_path / "own")
    assert not (workspace.build / FILE).is_symlink()
    assert files_in(workspace.build) == {FILE: data}


@pytest.mark.parametrize("origin", ["kit", "folder"])
def test_an_own_file_in_build_is_never_overwritten(workspace: Workspace, tmp_path: Path, origin: str) -> None:
    data = write_own(tmp_path / "own/xseg_1.onnx", NAME)
    own = write_own(workspace.build / FILE, NAME, seed=2)
    pinned(workspace, data, origin=origin)
    message = refusal(workspace, "fetch", NAME, "--from", str(tmp_path / "own"))
    assert "seen another file, which neither the kit nor DVC's cache has and may be your own: sha256 " in message
    assert message.endswith("to use it, run: python -m stages.fetch xseg_1 --pin build; else move it away")
    assert files_in(workspace.build) == {FILE: own}
    assert run_stage(workspace, "fetch", NAME, "--pin", "build").returncode == 0
    assert run_stage(workspace, "fetch", NAME).returncode == 0
    assert files_in(workspace.build) == {FILE: own}


def test_a_pinned_file_is_not_replaced_by_the_kit_s(workspace: Workspace) -> None:
    own = write_own(workspace.build / FILE, NAME)
    pinned(workspace, own, origin="kit")
    assert "set models.xseg_1.origin to folder, or move it away" in refusal(workspace, "fetch", NAME)
    assert files_in(workspace.build) == {FILE: own}


def test_a_file_of_the_kit_is_replaced(workspace: Workspace, tmp_path: Path) -> None:
    data = write_own(tmp_path / "own/xseg_1.onnx", NAME)
    params = pinned(workspace, data)
    KitOrigin().fetch([params.model(NAME)], workspace)
    fetched(workspace, tmp_path / "own")
    assert files_in(workspace.build) == {FILE: data}


def test_a_file_that_dvc_has_is_replaced(workspace: Workspace) -> None:
    model, path = pinned(workspace, b"a model").model(NAME), workspace.build / FILE
    write_own(path, NAME)
    for command in (["init", "--no-scm"], ["add", str(path)]):
        subprocess.run(
            [sys.executable, "-m", "dvc", "--quiet", *command], cwd=workspace.root, check=True, env=dict(os.environ)
        )
    check_replaceable(model, path, workspace)
    path.unlink()
    write_own(path, NAME, seed=2)
    with pytest.raises(FetchError, match="expected no file, or one that can be had again"):
        check_replaceable(model, path, workspace)
