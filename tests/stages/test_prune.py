"""What params.yaml no longer names goes from dvc.yaml's lists, from dvc.lock and from build/; all else stays."""

from pathlib import Path

import pytest
import yaml

from stages.files import BUILD
from stages.lists import DVC_YAML, check_lists, listed
from stages.lock import DVC_LOCK
from stages.params import Params, ParamsError, load_params
from stages.prune import forget_stages, leftovers, write_lists
from tests.stages import PARAMS, ROOT, document, refusal, write_params

GONE = "fan_68_5"


@pytest.fixture
def shortened(workspace: Path) -> Params:
    """Enter a workspace with the project's dvc.yaml, and params.yaml less a model and a target."""
    Path("dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    data = document()
    del data["models"][GONE], data["build_targets"]["rtx-sm86"]
    return write_params(workspace, data)


def test_lists_lose_the_lines_of_what_is_gone_and_nothing_else(shortened: Params) -> None:
    before = DVC_YAML.read_text("utf-8").splitlines()
    write_lists(shortened)
    after = DVC_YAML.read_text("utf-8").splitlines()
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


def test_lists_get_the_lines_of_what_is_new(shortened: Params) -> None:
    write_lists(shortened)
    check_lists(shortened)
    write_lists(PARAMS)
    stages = yaml.safe_load(DVC_YAML.read_text("utf-8"))["stages"]
    assert stages == yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]


def test_lists_that_are_right_are_not_touched(shortened: Params) -> None:
    write_lists(shortened)
    DVC_YAML.write_bytes(DVC_YAML.read_bytes() + b"extra:   {written:   by hand}\n")
    before = DVC_YAML.read_bytes()
    write_lists(shortened)
    assert DVC_YAML.read_bytes() == before


def test_a_model_that_no_list_has_is_refused_before_anything_runs(shortened: Params) -> None:
    write_lists(shortened)
    write_params(Path.cwd(), document())
    message = refusal(Path.cwd(), "declare")
    assert f"expected build/engines/${{key}}/{GONE} among the deps of index, as params.yaml has it" in message
    assert message.endswith("run: python -m stages.prune")
    assert not BUILD.exists()


def test_every_list_names_every_model_cache_and_archive_of_params(shortened: Params) -> None:
    lists = listed(shortened)
    assert len(lists["index"]) == len(lists["index_models"]) == len(shortened.models)
    assert len(lists["pack_models"]) == 9
    assert len(lists["index_archives"]) == 1 + len(shortened.builds)
    assert len(lists["validate"]) == len(shortened.models) + 1 + 2 * len(shortened.builds)


def test_the_lock_forgets_stages_that_are_gone_and_keeps_the_others_as_they_were(workspace: Path) -> None:
    lock = {"schema": "2.0", "stages": {name: {"cmd": name, "outs": [{"path": name}]} for name in ("b", "c", "a")}}
    DVC_LOCK.write_text(yaml.safe_dump(lock, sort_keys=False), "utf-8")
    assert forget_stages({"a", "b"}) == ["c"]
    left = yaml.safe_load(DVC_LOCK.read_text("utf-8"))
    assert list(left["stages"].items()) == [(name, lock["stages"][name]) for name in ("b", "a")]  # type: ignore[index]
    assert left["schema"] == "2.0"
    before = DVC_LOCK.read_bytes()
    assert forget_stages({"a", "b"}) == []
    assert DVC_LOCK.read_bytes() == before


def test_without_a_lock_nothing_is_forgotten(workspace: Path) -> None:
    assert forget_stages(set()) == []
    assert not DVC_LOCK.exists()


def test_what_no_stage_makes_is_left_over_by_its_shortest_path(workspace: Path) -> None:
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
        (BUILD / name).parent.mkdir(parents=True, exist_ok=True)
        (BUILD / name).write_bytes(b"")
    outs = {BUILD / "models/a.onnx", BUILD / "engines/cpu/a", BUILD / "archives/none.tar.zst"}
    assert {str(path.relative_to(BUILD)) for path in leftovers(outs)} == {
        "models/b.onnx",
        "models/old",
        "engines/cpu/b",
        "trt_cache",
    }


def test_without_build_nothing_is_left_over(workspace: Path) -> None:
    assert leftovers({BUILD / "models/a.onnx"}) == []


def test_wrong_params_are_refused_and_nothing_is_pruned(shortened: Params) -> None:
    before = DVC_YAML.read_bytes()
    data = document()
    data["models"][GONE]["role"] = "net"
    with pytest.raises(ParamsError):
        write_params(Path.cwd(), data)
    assert f"models.{GONE}.role: expected one of" in refusal(Path.cwd(), "prune")
    assert DVC_YAML.read_bytes() == before
    with pytest.raises(ParamsError):
        load_params()
