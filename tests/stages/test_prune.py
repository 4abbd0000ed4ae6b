"""What params.yaml no longer names goes from the lists of dvc.yaml files and from build/; all else stays."""

import os
import re
from pathlib import Path

import pytest
import yaml

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.staged import scratch_folder
from stages.dvc_cache import cached_file, md5_of
from stages.lists import check_lists, listed, pipeline_files, write_lists
from stages.params import Params, ParamsError, load_params
from stages.prune import leftovers, remove_made
from stages.workspace import MADE, Workspace
from tests.stages import PARAMS, ROOT, copy_pipeline, document, files_in, refusal, write_params

GONE = "fan_68_5"


@pytest.fixture
def shortened(workspace: Workspace) -> Params:
    """Enter a workspace with the project's dvc.yaml files, and params.yaml less a model and a target."""
    copy_pipeline(workspace)
    data = document()
    del data["models"][GONE], data["build_targets"]["rtx-sm86"]
    return write_params(workspace.root, data)


def lines(workspace: Workspace) -> list[str]:
    """Return the lines of all dvc.yaml files."""
    return [line for path in pipeline_files(workspace) for line in path.read_text("utf-8").splitlines()]


def test_lists_lose_the_lines_of_what_is_gone_and_nothing_else(workspace: Workspace, shortened: Params) -> None:
    before = lines(workspace)
    write_lists(shortened, workspace)
    after = lines(workspace)
    assert {line.strip() for line in before} - {line.strip() for line in after} == {
        f"{GONE}: models/{GONE}.onnx",
        f"- build/${{item.engines}}/{GONE}/${{key}}",
        f"- build/models/{GONE}.onnx",
        f"- build/check/{GONE}.json",
        "- build/trt_cache/sm86/rtx1.7_ort1.31",
        "- build/archives/rtx-cache-sm86.tar.zst",
        "rtx-sm86:",
        "cache_key: sm86/rtx1.7_ort1.31",
        "archive: rtx-cache-sm86",
    }
    assert {line.strip() for line in after} <= {line.strip() for line in before}
    comments = [line for line in before if line.lstrip().startswith("#")]
    assert comments
    assert [line for line in after if line.lstrip().startswith("#")] == comments


def test_lists_get_the_lines_of_what_is_new(workspace: Workspace, shortened: Params) -> None:
    write_lists(shortened, workspace)
    check_lists(shortened, workspace)
    write_lists(PARAMS, workspace)
    for path in pipeline_files(workspace):
        assert yaml.safe_load(path.read_bytes()) == yaml.safe_load(
            (ROOT / path.relative_to(workspace.root)).read_bytes()
        )


def test_lists_that_are_right_are_not_touched(workspace: Workspace, shortened: Params) -> None:
    write_lists(shortened, workspace)
    workspace.dvc_yaml.write_bytes(workspace.dvc_yaml.read_bytes() + b"extra:   {written:   by hand}\n")
    before = lines(workspace)
    write_lists(shortened, workspace)
    assert lines(workspace) == before


@pytest.mark.parametrize(
    ("is_new", "seen"),
    [
        pytest.param(
            True, f"the deps of validate to be what params.yaml names, seen a difference in .*{GONE}", id="new"
        ),
        pytest.param(False, "the deps of validate to be what params.yaml names, seen a difference in .*", id="gone"),
    ],
)
def test_lists_of_other_params_are_refused_before_anything_runs(
    workspace: Workspace, shortened: Params, is_new: bool, seen: str
) -> None:
    if is_new:
        write_lists(shortened, workspace)
        write_params(workspace.root, document())
    message = refusal(workspace, "declare")
    assert re.search(f"dvc.yaml: expected {seen}", message)
    assert message.endswith("run: python -m stages.prune")
    assert not workspace.build.exists()


def test_another_order_of_models_is_another_list(workspace: Workspace) -> None:
    copy_pipeline(workspace)
    data = document()
    data["models"] = dict(reversed(data["models"].items()))
    params = write_params(workspace.root, data)
    with pytest.raises(MorphstreamError, match="seen a difference in their order"):
        check_lists(params, workspace)
    write_lists(params, workspace)
    check_lists(params, workspace)
    fetched = yaml.safe_load((workspace.root / "pipeline/fetch/dvc.yaml").read_bytes())["stages"]["fetch"]["foreach"]
    assert list(fetched) == list(params.models)


def test_every_list_names_every_model_cache_and_archive_of_params(shortened: Params) -> None:
    lists = listed(shortened)
    models, builds = len(shortened.models), len(shortened.builds)
    assert len(lists["pipeline/pack/dvc.yaml"]["pack"]["deps"]) == models
    assert len(lists["pipeline/pack/dvc.yaml"]["models"]["deps"]) == models
    assert len(lists["dvc.yaml"]["validate"]["deps"]) == models + 1 + 2 * builds


def test_what_no_stage_makes_is_left_over_by_its_shortest_path(workspace: Workspace) -> None:
    files = (
        "models/a.onnx",
        "models/b.onnx",
        "models/old/c.onnx",
        "engines/a/cpu/a.xml",
        "engines/b/cpu/b.xml",
        "trt_cache/sm86/rtx1.7_ort1.31/manifest.json",
        "measured/swaps/hyperswap_1a_256.json",
        "report/index.html",
        "demo/swapped.jpg",
        "timing/sm89/timing.cache",
    )
    for name in files:
        (workspace.build / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.build / name).write_bytes(b"")
    outs = {
        workspace.build / "models/a.onnx",
        workspace.build / "engines/a",
        workspace.build / "archives/none.tar.zst",
    }
    assert {str(path.relative_to(workspace.build)) for path in leftovers(workspace, outs)} == {
        "models/b.onnx",
        "models/old",
        "engines/b",
        "trt_cache",
    }


def put(workspace: Workspace, name: str, text: str = "made", *, is_cached: bool = True) -> Path:
    """Write a file of build/, as a stage would whose output DVC keeps, or as a person would."""
    path = workspace.build / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if is_cached:
        cached = cached_file(workspace, md5_of(path))
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text(text)
    return path


FOLDERS = {*MADE, "models", "old"}  # `old` is of a model that is gone


@pytest.mark.parametrize("name", ["engines/gone/a/a.xml", "archives/gone.tar.zst", "old/model.onnx", "models/m.onnx"])
def test_what_stages_made_is_removed(workspace: Workspace, name: str) -> None:
    path = put(workspace, name)
    leftover = workspace.build / Path(name).parts[0]
    assert remove_made(workspace, leftover, FOLDERS)
    assert not path.exists()
    assert not leftover.exists()


def test_a_link_into_the_cache_is_removed_and_what_it_names_stays(workspace: Workspace) -> None:
    path = put(workspace, "models/m.onnx")
    cached = cached_file(workspace, md5_of(path))
    path.unlink()
    path.symlink_to(cached.resolve())
    assert remove_made(workspace, path, FOLDERS)
    assert not path.is_symlink()
    assert cached.exists()


@pytest.mark.parametrize(
    ("name", "others"),
    [
        pytest.param("peer", ["peer/models/m.onnx"], id="a folder of no stage, also with what stages made"),
        pytest.param("notes.txt", ["notes.txt"], id="a file of no stage"),
        pytest.param("models/mine.onnx", [], id="a model of one's own"),
        pytest.param("archives/mine.tar.zst", [], id="an archive of one's own"),
        pytest.param(
            "trt_cache/sm89/trt10.14_ort1.24", ["trt_cache/sm89/trt10.14_ort1.24/a.engine"], id="an adopted cache"
        ),
        pytest.param("engines/gone", ["engines/gone/a/a.xml"], id="a note among engines"),
    ],
)
def test_what_is_a_persons_own_stays(workspace: Workspace, name: str, others: list[str]) -> None:
    path = workspace.build / name
    for other in others:
        put(workspace, other)
    if path.is_dir() or path.suffix not in (".txt", ".onnx", ".zst"):
        put(workspace, f"{name}/mine", "mine", is_cached=name == "peer")
    else:
        put(workspace, name, "mine", is_cached=name == "notes.txt")
    before = files_in(workspace.build)
    assert not remove_made(workspace, path, FOLDERS)
    assert files_in(workspace.build) == before


@pytest.mark.parametrize("kind", ["an empty folder", "a link", "a link to a folder", "a pipe"])
def test_what_has_no_content_to_know_it_by_stays(workspace: Workspace, tmp_path: Path, kind: str) -> None:
    mine, path = put(workspace, "demo/mine"), workspace.build / "engines/odd"
    path.parent.mkdir()
    match kind:
        case "an empty folder":
            path.mkdir()
        case "a link":
            path.symlink_to(mine)
        case "a link to a folder":
            path.symlink_to(mine.parent)
        case _:
            os.mkfifo(path)
    assert not remove_made(workspace, path, FOLDERS)
    assert not remove_made(workspace, path.parent, FOLDERS)
    assert os.path.lexists(path)
    assert mine.exists()


def test_what_a_killed_stage_left_is_removed_unless_one_is_at_work(workspace: Workspace) -> None:
    left = put(workspace, "prepared/.gone.0123abcd.part/new/half", is_cached=False).parents[1]
    assert remove_made(workspace, left, FOLDERS)
    with scratch_folder(workspace.build / "publish") as used:
        assert not remove_made(workspace, used, FOLDERS)
        assert used.exists()


def test_without_build_nothing_is_left_over(workspace: Workspace) -> None:
    assert leftovers(workspace, {workspace.build / "models/a.onnx"}) == []


def test_wrong_params_are_refused_and_nothing_is_pruned(workspace: Workspace, shortened: Params) -> None:
    assert GONE not in shortened.models
    before = lines(workspace)
    data = document()
    data["models"][GONE]["role"] = "net"
    with pytest.raises(ParamsError):
        write_params(workspace.root, data)
    assert f"models.{GONE}.role: expected one of" in refusal(workspace, "prune")
    assert lines(workspace) == before
    with pytest.raises(ParamsError):
        load_params(workspace.params)
