"""`fetch --pin FOLDER` pins what a folder has and keeps its contract, and nothing else in params.yaml changes."""

from pathlib import Path

import pytest

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import FetchError, ModelError
from stages.fetch import is_folder
from stages.own_pins import pin_own
from stages.params import load_params
from stages.workspace import Workspace
from tests.stages import ROOT, files_in, original, refusal, run_stage
from tests.stages.own_files import write_own

TEXT = (ROOT / "params.yaml").read_text("utf-8")


@pytest.fixture
def own(workspace: Workspace, tmp_path: Path) -> Path:
    """A person's folder; the workspace has the project's own params.yaml, comments and all."""
    workspace.params.write_text(TEXT, "utf-8")
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def pinned(workspace: Workspace, folder: Path, *names: str) -> str:
    return pin_own(load_params(workspace.params), workspace, folder, names)


def changed(workspace: Workspace) -> tuple[list[str], list[str]]:
    """Return the lines of params.yaml that went and those that came."""
    after = workspace.params.read_text("utf-8").splitlines()
    before = TEXT.splitlines()
    return [line for line in before if line not in after], [line for line in after if line not in before]


@pytest.mark.parametrize("place", ["models/buffalo_l/w600k_r50.onnx", "buffalo_l/w600k_r50.onnx", "w600k_r50.onnx"])
def test_what_is_there_is_pinned_and_shown_and_every_other_line_stays(
    workspace: Workspace, own: Path, place: str
) -> None:
    data = write_own(own / place, "w600k_r50")
    said = pinned(workspace, own)
    model = load_params(workspace.params).model("w600k_r50")
    assert (model.pin, model.origin) == (digest_of(data), "folder")
    gone, come = changed(workspace)
    assert [line.split(":")[0].strip() for line in gone] == ["sha256", "bytes"]
    assert [line.split(":")[0].strip() for line in come] == ["sha256", "bytes", "origin"]
    assert {f"-{line}" for line in gone} | {f"+{line}" for line in come} <= {*said.splitlines()}
    assert "not there, and left as they are: det_10g, fan_68_5, " in said
    assert said.endswith(f"next: MORPHSTREAM_MODELS={own} dvc repro")
    assert not workspace.build.exists()


def test_pinning_again_changes_nothing(workspace: Workspace, own: Path) -> None:
    write_own(own / "xseg_1.onnx", "xseg_1")
    pinned(workspace, own)
    before = workspace.params.read_bytes()
    assert pinned(workspace, own).startswith("params.yaml: the pins are those of ")
    assert workspace.params.read_bytes() == before


def test_the_origin_of_all_is_not_said_for_each(workspace: Workspace, own: Path) -> None:
    workspace.params.write_text(TEXT.replace("origin: kit\n", "origin: folder\n"), "utf-8")
    write_own(own / "xseg_1.onnx", "xseg_1")
    pinned(workspace, own)
    assert load_params(workspace.params).model("xseg_1").origin is None


def test_models_are_pinned_by_name(workspace: Workspace, own: Path) -> None:
    for name in ("xseg_1", "xseg_2"):
        write_own(own / f"{name}.onnx", name)
    assert run_stage(workspace, "fetch", "xseg_2", "--pin", str(own)).returncode == 0
    assert {name for name, model in load_params(workspace.params).models.items() if model.origin} == {"xseg_2"}
    with pytest.raises(FetchError, match=r"expected xseg_3\.onnx there, seen none"):
        pinned(workspace, own, "xseg_3")


def test_two_different_files_of_one_name_are_refused_and_two_equal_ones_are_not(
    workspace: Workspace, own: Path
) -> None:
    data = write_own(own / "xseg_1.onnx", "xseg_1")
    write_own(own / "models/xseg_1.onnx", "xseg_1")
    pinned(workspace, own)
    assert load_params(workspace.params).model("xseg_1").pin == digest_of(data)
    before = workspace.params.read_bytes()
    write_own(own / "models/xseg_1.onnx", "xseg_1", seed=2)
    with pytest.raises(FetchError, match=r"xseg_1: expected one file, seen .* and .* with different bytes"):
        pinned(workspace, own)
    assert workspace.params.read_bytes() == before


def test_a_file_that_breaks_its_role_s_contract_is_refused_and_nothing_pinned(workspace: Workspace, own: Path) -> None:
    write_own(own / "xseg_2.onnx", "xseg_2")
    (own / "xseg_1.onnx").write_bytes(original("fan_68_5"))
    with pytest.raises(ModelError, match=r"models/xseg_1\.onnx: input input: expected shape"):
        pinned(workspace, own)
    (own / "xseg_1.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"xseg_1\.onnx"):
        pinned(workspace, own)
    assert workspace.params.read_text("utf-8") == TEXT


def test_an_empty_folder_and_none_are_refused_in_a_line(workspace: Workspace, own: Path) -> None:
    assert "name them so, or add one under a name of its own" in refusal(workspace, "fetch", "--pin", str(own))
    missing = refusal(workspace, "fetch", "--pin", str(own / "nowhere"))
    assert "expected the folder of your own models, seen no folder; name another" in missing
    assert workspace.params.read_text("utf-8") == TEXT


def test_a_folder_is_told_from_a_revision_by_its_spelling(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own)
    (own / "weights").mkdir()
    assert [text for text in ("weights", "./x", "../x", "/x", "~/x", ".") if not is_folder(text)] == []
    assert [text for text in ("main", "refs/pr/1", "0" * 40) if is_folder(text)] == []


def test_the_person_s_files_are_only_read(workspace: Workspace, own: Path) -> None:
    write_own(own / "xseg_1.onnx", "xseg_1")
    before = files_in(own)
    pinned(workspace, own)
    assert files_in(own) == before
