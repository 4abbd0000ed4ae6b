"""dvc.yaml files name programs that exist, list what params.yaml names, and never depend on a parent folder."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.lists import check_lists, listed, pipeline_files, stage_names
from stages.workspace import Workspace
from tests.stages import PARAMS, ROOT, document, with_bfloat16, write_params

FILES = pipeline_files(Workspace(ROOT))
STAGES: dict[str, dict[str, Any]] = {
    name: stage.get("do", stage)
    for path in FILES
    for name, stage in yaml.safe_load(path.read_text("utf-8"))["stages"].items()
}
KINDS = {"outs": ("outs", "metrics", "plots")}


def paths(stage: str, key: str) -> list[str]:
    """Return a stage's dependencies, or its outputs of any kind."""
    entries = [entry for kind in KINDS.get(key, (key,)) for entry in STAGES[stage].get(kind, ())]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def test_lists_are_those_of_params_in_the_same_order() -> None:
    check_lists(PARAMS, Workspace(ROOT))
    assert {str(path.relative_to(ROOT)) for path in FILES} == set(listed(PARAMS))


def test_bfloat16_is_built_packed_and_validated_and_what_reports_boots_is_not_it(tmp_path: Path) -> None:
    lists = listed(write_params(tmp_path, with_bfloat16(document())))
    assert {"build/trt_cache/x86_64/ov2026.4_bf16", "build/archives/cpu-bf16-cache-x86_64.tar.zst"} <= {
        *lists["dvc.yaml"]["validate"]["deps"]
    }
    assert lists["pipeline/pack/dvc.yaml"]["pack"]["foreach"]["cpu-bf16"]["archive"] == "cpu-bf16-cache-x86_64"
    assert lists["dvc.yaml"]["report"] == listed(PARAMS)["dvc.yaml"]["report"]


def test_a_target_that_needs_its_gpu_has_stages_of_its_own_and_is_reported(tmp_path: Path) -> None:
    data = document()
    data["build_targets"]["trt-sm89"] = {"cache_key": "sm89/trt10.14_ort1.24", "archive": "trt-cache-sm89"}
    lists, before = listed(write_params(tmp_path, data)), listed(PARAMS)
    engines, names = lists["pipeline/engines/dvc.yaml"], [f"trt-sm89-{model}" for model in PARAMS.models]
    assert engines["engines"] == before["pipeline/engines/dvc.yaml"]["engines"]
    assert list(engines["gpu_engine"]["foreach"]) == names
    assert engines["gpu_engine"]["foreach"]["trt-sm89-xseg_1"]["file"] == "models/xseg_1.onnx"
    come = [dep for dep in lists["dvc.yaml"]["report"]["deps"] if dep not in before["dvc.yaml"]["report"]["deps"]]
    assert come == [f"build/check/trt-sm89/{model}.json" for model in PARAMS.models]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_runs_a_program_that_exists(stage: str) -> None:
    found = re.fullmatch(r"\$\{run\} (stages\.[a-z_]+)( (--[a-z]+|\$\{[a-z.]+\}))*", STAGES[stage]["cmd"])
    assert found, STAGES[stage]["cmd"]
    module = import_module(found[1])
    program = import_module(f"{found[1]}.__main__") if hasattr(module, "__path__") else module
    assert callable(program.main)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_depends_on_something_and_makes_something_of_its_own(stage: str) -> None:
    others = {out for name in STAGES if name != stage for out in paths(name, "outs")}
    assert paths(stage, "deps")
    assert paths(stage, "outs")
    assert not others.intersection(paths(stage, "outs"))


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_depends_on_a_folder_of_other_stages_outputs(stage: str) -> None:
    outs = [out for name in STAGES for out in paths(name, "outs")]
    above = {out for out in outs for dep in paths(stage, "deps") if out.startswith(f"{dep}/")}
    assert not above


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("declare", "report")])
def test_every_stage_but_two_depends_on_what_is_declared_of_it(stage: str) -> None:
    assert [dep for dep in paths(stage, "deps") if dep.startswith("build/declared/")]


def test_every_verb_of_the_design_is_a_stage() -> None:
    assert set(STAGES) == {
        *("declare", "fetch", "engines", "gpu_engine"),  # engines are prepared, compiled and checked
        *("pack", "models", "validate", "report"),  # caches are indexed and packed, models listed and packed
    }


def test_only_files_in_git_are_outside_dvc_s_cache() -> None:
    uncached = {
        path
        for stage in STAGES.values()
        for kind in KINDS["outs"]
        for entry in stage.get(kind, ())
        if isinstance(entry, dict)
        for path, options in entry.items()
        if options.get("cache") is False
    }
    assert uncached == {"manifests/models.json", "manifests/archives.json"}


def test_names_of_stages_are_those_of_their_file_in_its_order() -> None:
    names = [name for path in FILES for name in stage_names(path)]
    assert len(names) == len(set(names)) == 4 + 2 * len(PARAMS.models) + len(PARAMS.builds)
    assert stage_names(ROOT / "dvc.yaml") == ["declare", "validate", "report"]
    assert stage_names(ROOT / "pipeline/fetch/dvc.yaml") == [f"fetch@{name}" for name in PARAMS.models]
    assert stage_names(ROOT / "pipeline/pack/dvc.yaml") == [*(f"pack@{name}" for name in PARAMS.builds), "models"]
