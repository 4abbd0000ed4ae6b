"""dvc.yaml names stage programs that exist, lists what params.yaml names, and never depends on a parent folder."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.lists import listed
from tests.stages import PARAMS, ROOT, document, with_bfloat16, write_params

STAGES: dict[str, dict[str, Any]] = {
    name: stage.get("do", stage)
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"].items()
}
NOT_LISTED = ("stages/", "manifests/", "build/declared/", "build/manifests/")
KINDS = {"outs": ("outs", "metrics", "plots")}


def paths(stage: str, key: str) -> list[str]:
    """Return a stage's dependencies, or its outputs of any kind."""
    entries = [entry for kind in KINDS.get(key, (key,)) for entry in STAGES[stage].get(kind, ())]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


@pytest.mark.parametrize("stage", listed(PARAMS))
def test_lists_are_those_of_params_in_the_same_order(stage: str) -> None:
    wanted = listed(PARAMS)[stage]
    assert [dep for dep in paths(stage, "deps") if dep in wanted] == wanted
    others = [dep for dep in paths(stage, "deps") if dep not in wanted]
    assert [dep for dep in others if not dep.startswith(NOT_LISTED)] == []


def test_bfloat16_is_packed_and_validated_and_what_reports_boots_is_not_it(tmp_path: Path) -> None:
    lists = listed(write_params(tmp_path, with_bfloat16(document())))
    assert {"build/trt_cache/x86_64/ov2026.4_bf16", "build/archives/cpu-bf16-cache-x86_64.tar.zst"} <= {
        *lists["validate"]
    }
    assert "build/engines/cpu-bf16/${key}" in lists["check"]
    assert lists["report"] == listed(PARAMS)["report"]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_runs_a_program_that_exists(stage: str) -> None:
    found = re.fullmatch(r"\$\{run\} (stages\.[a-z_]+)( (--[a-z]+|\$\{[a-z.]+\}))*", STAGES[stage]["cmd"])
    assert found, STAGES[stage]["cmd"]
    assert callable(import_module(found[1]).main)


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


@pytest.mark.parametrize(
    ("stage", "files"),
    [
        ("declare", {"stages", "runtime/morphstream/session"}),
        ("index", {"stages/index.py", "stages/caches.py"}),
        ("index_archives", {"stages/index.py", "stages/pack.py"}),
        ("pack", {"stages/pack.py", "stages/caches.py"}),
        ("validate", {"stages/validate.py", "stages/pack.py", "stages/caches.py"}),
    ],
)
def test_a_stage_depends_on_the_source_that_decides_its_result(stage: str, files: set[str]) -> None:
    assert files <= set(paths(stage, "deps"))


def test_every_verb_of_the_design_is_a_stage() -> None:
    verbs = {"fetch", "prepare", "compile", "check", "index", "pack", "validate", "report"}
    assert verbs <= set(STAGES)


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
