"""What params.yaml no longer names goes from dvc.yaml's lists, from dvc.lock and from build/; all else stays."""

import pytest
import yaml

from stages.lists import check_lists, listed
from stages.params import Params, ParamsError, load_params
from stages.prune import forget_stages, leftovers, write_lists
from stages.workspace import Workspace
from tests.stages import PARAMS, ROOT, document, refusal, write_params

GONE = "fan_68_5"


@pytest.fixture
def shortened(workspace: Workspace) -> Params:
    """Enter a workspace with the project's dvc.yaml, and params.yaml less a model and a target."""
    workspace.dvc_yaml.write_bytes((ROOT / "dvc.yaml").read_bytes())
    data = document()
    del data["models"][GONE], data["build_targets"]["rtx-sm86"]
    return write_params(workspace.root, data)


def test_lists_lose_the_lines_of_what_is_gone_and_nothing_else(workspace: Workspace, shortened: Params) -> None:
    before = workspace.dvc_yaml.read_text("utf-8").splitlines()
    write_lists(shortened, workspace.dvc_yaml)
    after = workspace.dvc_yaml.read_text("utf-8").splitlines()
    removed = {line.strip() for line in before} - {line.strip() for line in after}
    assert removed == {
        f"- build/engines/${{key}}/{GONE}",
        f"- build/models/{GONE}.onnx",
        "- build/trt_cache/sm86/rtx1.7_ort1.31",
        "- build/archives/rtx-cache-sm86.tar.zst",
        "- build/engines/rtx-sm86/${key}",
        f"- build/check/{GONE}.json",
    }
    assert {line.strip() for line in after} <= {line.strip() for line in before}
    comments = [line for line in before if line.lstrip().startswith("#")]
    assert comments
    assert [line for line in after if line.lstrip().startswith("#")] == comments


def test_lists_get_the_lines_of_what_is_new(workspace: Workspace, shortened: Params) -> None:
    write_lists(shortened, workspace.dvc_yaml)
    check_lists(shortened, workspace.dvc_yaml)
    write_lists(PARAMS, workspace.dvc_yaml)
    stages = yaml.safe_load(workspace.dvc_yaml.read_text("utf-8"))["stages"]
    assert stages == yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]


def test_lists_that_are_right_are_not_touched(workspace: Workspace, shortened: Params) -> None:
    write_lists(shortened, workspace.dvc_yaml)
    workspace.dvc_yaml.write_bytes(workspace.dvc_yaml.read_bytes() + b"extra:   {written:   by hand}\n")
    before = workspace.dvc_yaml.read_bytes()
    write_lists(shortened, workspace.dvc_yaml)
    assert workspace.dvc_yaml.read_bytes() == before


def test_a_model_that_no_list_has_is_refused_before_anything_runs(workspace: Workspace, shortened: Params) -> None:
    write_lists(shortened, workspace.dvc_yaml)
    write_params(workspace.root, document())
    message = refusal(workspace, "declare")
    assert f"expected build/engines/${{key}}/{GONE} among the deps of index, as params.yaml has it" in message
    assert message.endswith("run: python -m stages.prune")
    assert not workspace.build.exists()


def test_every_list_names_every_model_cache_and_archive_of_params(shortened: Params) -> None:
    lists = listed(shortened)
    assert len(lists["index"]) == len(lists["index_models"]) == len(shortened.models)
    assert len(lists["pack_models"]) == 9
    assert len(lists["index_archives"]) == 1 + len(shortened.builds)
    assert len(lists["validate"]) == len(shortened.models) + 1 + 2 * len(shortened.builds)


def test_the_lock_forgets_stages_that_are_gone_and_keeps_the_others_as_they_were(workspace: Workspace) -> None:
    lock = {"schema": "2.0", "stages": {name: {"cmd": name, "outs": [{"path": name}]} for name in ("b", "c", "a")}}
    workspace.dvc_lock.write_text(yaml.safe_dump(lock, sort_keys=False), "utf-8")
    assert forget_stages(workspace.dvc_lock, {"a", "b"}) == ["c"]
    left = yaml.safe_load(workspace.dvc_lock.read_text("utf-8"))
    assert list(left["stages"].items()) == [(name, lock["stages"][name]) for name in ("b", "a")]  # type: ignore[index]
    assert left["schema"] == "2.0"
    before = workspace.dvc_lock.read_bytes()
    assert forget_stages(workspace.dvc_lock, {"a", "b"}) == []
    assert workspace.dvc_lock.read_bytes() == before


def test_without_a_lock_nothing_is_forgotten(workspace: Workspace) -> None:
    assert forget_stages(workspace.dvc_lock, set()) == []
    assert not workspace.dvc_lock.exists()


def test_what_no_stage_makes_is_left_over_by_its_shortest_path(workspace: Workspace) -> None:
    files = (
        "models/a.onnx",
        "models/b.onnx",
        "models/old/c.onnx",
        "engines/cpu/a/a.xml",
        "engines/cpu/b/b.xml",
        "trt_cache/sm86/rtx1.7_ort1.31/manifest.json",
        "measured/metrics.json",
        "demo/swapped.jpg",
        "timing/sm89/timing.cache",
    )
    for name in files:
        (workspace.build / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.build / name).write_bytes(b"")
    outs = {
        workspace.build / "models/a.onnx",
        workspace.build / "engines/cpu/a",
        workspace.build / "archives/none.tar.zst",
    }
    assert {str(path.relative_to(workspace.build)) for path in leftovers(workspace, outs)} == {
        "models/b.onnx",
        "models/old",
        "engines/cpu/b",
        "trt_cache",
    }


def test_without_build_nothing_is_left_over(workspace: Workspace) -> None:
    assert leftovers(workspace, {workspace.build / "models/a.onnx"}) == []


def test_wrong_params_are_refused_and_nothing_is_pruned(workspace: Workspace, shortened: Params) -> None:
    before = workspace.dvc_yaml.read_bytes()
    data = document()
    data["models"][GONE]["role"] = "net"
    with pytest.raises(ParamsError):
        write_params(workspace.root, data)
    assert f"models.{GONE}.role: expected one of" in refusal(workspace, "prune")
    assert workspace.dvc_yaml.read_bytes() == before
    with pytest.raises(ParamsError):
        load_params(workspace.params)
