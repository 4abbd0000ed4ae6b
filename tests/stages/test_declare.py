"""A stage's declaration changes with what decides its result, and with nothing else."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from morphstream.artifact.errors import MorphstreamError
from stages.declare import check_declared, declarations
from stages.files import json_bytes
from stages.licences import licences_of
from stages.lists import write_lists
from stages.params import Params
from stages.source import source_digest
from stages.workspace import Workspace
from tests.stages import (
    PARAMS,
    ROOT,
    copy_pipeline,
    document,
    files_in,
    read_json,
    refusal,
    run_stage,
    with_bfloat16,
    write_params,
)

MODEL = "xseg_1"


def declared(folder: Path, change: Callable[[dict[str, Any]], object] | None = None) -> dict[str, Any]:
    data = document()
    if change:
        change(data)
    return dict(declarations(write_params(folder, data)))


def put(where: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        *above, last = where.split("/")
        for key in above:
            data = data[key]
        data[last] = value

    return change


def every(verb: str, section: str = "models") -> set[str]:
    return {f"{verb}/{name}" for name in document()[section]}


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        pytest.param(put("models/w600k_r50/precision", "fp32"), {"engines/w600k_r50", "models"}, id="precision"),
        pytest.param(put(f"models/{MODEL}/batches", [1, 3]), {f"engines/{MODEL}"}, id="batch"),
        pytest.param(put(f"models/{MODEL}/tolerance/cosine", 0.5), {f"engines/{MODEL}"}, id="tolerance"),
        pytest.param(put(f"models/{MODEL}/tolerance/levels", 3), {f"engines/{MODEL}"}, id="tolerance of crops"),
        pytest.param(put(f"models/{MODEL}/inputs", {"input": [1, 256, 256, 3]}), {f"engines/{MODEL}"}, id="shape"),
        pytest.param(
            put(f"models/{MODEL}/licence", "another"), {*every("pack", "build_targets"), "models"}, id="licence"
        ),
        pytest.param(put(f"models/{MODEL}/sha256", "0" * 64), set(), id="pin of a model that the kit makes"),
        pytest.param(
            put("targets/cpu/toolchain/openvino", "2026.4.2"), {*every("engines"), "pack/cpu"}, id="patch version"
        ),
        pytest.param(put("targets/rtx-sm75/toolchain/onnxruntime", "1.31.2"), set(), id="target that is not built"),
        pytest.param(
            lambda data: data["models"].pop("gfpgan"), {*every("pack", "build_targets"), "models"}, id="one model less"
        ),
        pytest.param(put("archive/level", 4), {*every("pack", "build_targets"), "models"}, id="level"),
    ],
)
def test_a_change_is_declared_to_its_own_stages_alone(
    workspace: Workspace, change: Callable[[dict[str, Any]], object], stages: set[str]
) -> None:
    before, after = declared(workspace.root), declared(workspace.root, change)
    assert {stage for stage in after if after[stage] != before[stage]} == stages


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        pytest.param(put(f"models/{MODEL}/batches", [1, 3]), {"prepare"}, id="batch"),
        pytest.param(put(f"models/{MODEL}/tolerance/levels", 3), {"check"}, id="tolerance"),
        pytest.param(put("targets/cpu/toolchain/openvino", "2026.4.2"), {"cpu"}, id="toolchain"),
        pytest.param(lambda data: data["build_targets"].pop("rtx-sm86"), {"rtx-sm86"}, id="one target less"),
    ],
)
def test_a_change_concerns_its_own_part_of_what_is_done_with_a_model(
    workspace: Workspace, change: Callable[[dict[str, Any]], object], parts: set[str]
) -> None:
    def parted(declaration: dict[str, Any]) -> dict[str, Any]:
        return {**declaration["targets"], **{key: declaration[key] for key in ("prepare", "check")}}

    before, after = (parted(declared(workspace.root, one)[f"engines/{MODEL}"]) for one in (None, change))
    assert {part for part in before if before[part] != after.get(part)} == parts


def test_a_tolerance_of_a_target_is_declared_to_every_model_once_it_is_built(workspace: Workspace) -> None:
    data = document()
    put("targets/cpu-bf16/tolerance/levels", 9)(data)
    assert dict(declarations(write_params(workspace.root, data))) == declared(workspace.root)
    before, after = (dict(declarations(write_params(workspace.root, with_bfloat16(d)))) for d in (document(), data))
    engines = {f"engines/{name}" for name in data["models"]}
    assert {stage for stage in after if after[stage] != before[stage]} == engines
    assert "pack/cpu-bf16" in after
    assert "cpu-bf16" in after[f"engines/{MODEL}"]["targets"]


def test_a_target_that_needs_its_gpu_is_declared_apart_from_the_others(workspace: Workspace) -> None:
    def build(data: dict[str, Any]) -> None:
        data["build_targets"]["trt-sm89"] = {"cache_key": "sm89/trt10.14_ort1.24", "archive": "trt-cache-sm89"}

    before, after = declared(workspace.root), declared(workspace.root, build)
    assert set(after) - set(before) == {"pack/trt-sm89", *(f"gpu_engine/trt-sm89-{name}" for name in PARAMS.models)}
    assert [stage for stage in before if after[stage] != before[stage]] == ["validate"]
    assert set(after[f"gpu_engine/trt-sm89-{MODEL}"]["targets"]) == {"trt-sm89"}


def test_with_origin_hub_a_pin_decides_what_is_fetched(workspace: Workspace) -> None:
    def pinned(sha256: str, revision: str) -> dict[str, Any]:
        def change(data: dict[str, Any]) -> None:
            data["origin"], data["hub"]["revision"] = "hub", revision * 40
            data["models"][MODEL]["sha256"] = sha256 * 64

        return declared(workspace.root, change)

    first, second, third = pinned("0", "0"), pinned("1", "0"), pinned("0", "1")
    assert {stage for stage in first if first[stage] != second[stage]} == {f"fetch/{MODEL}"}
    assert {stage.split("/")[0] for stage in first if first[stage] != third[stage]} == {"fetch"}


def test_a_changed_source_is_another_digest_and_another_folder_is_not(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        shutil.copytree(ROOT / "stages/parity", tmp_path / folder / "parity")
    here, there = (source_digest("parity", root=tmp_path / folder) for folder in ("here", "there"))
    assert here == there == source_digest("parity")
    with (tmp_path / "there/parity/run.py").open("a") as file:
        file.write("\n")
    assert source_digest("parity", root=tmp_path / "there") != here


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy the source, to be altered."""
    shutil.copytree(ROOT / "stages", tmp_path / "stages")
    shutil.copytree(ROOT / "runtime", tmp_path / "runtime")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    return tmp_path


def declared_in(checkout: Path) -> dict[str, Any]:
    """Return what a checkout's own code declares."""
    program = (
        "import json, pathlib, stages.declare as d, stages.params as p\n"
        "print(json.dumps(dict(d.declarations(p.load_params(pathlib.Path('params.yaml'))))))"
    )
    settings = {**os.environ, "PYTHONPATH": f"{checkout}:{checkout / 'runtime'}"}
    done = subprocess.run([sys.executable, "-c", program], cwd=checkout, env=settings, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("file", "verbs"),
    [
        pytest.param("stages/origin/kit.py", {"fetch"}, id="origin"),
        pytest.param("stages/surgery/nodes.py", {"engines"}, id="surgery"),
        pytest.param("stages/compile.py", {"engines"}, id="the manifest of an engine"),
        pytest.param("stages/builders/order.py", {"engines"}, id="orders"),
        pytest.param("stages/parity/engine.py", {"engines"}, id="parity"),
        pytest.param("runtime/morphstream/session/openvino.py", {"engines"}, id="the runtime's sessions"),
        pytest.param("stages/index.py", {"pack", "models", "validate"}, id="index"),
        pytest.param("stages/caches.py", {"pack", "validate"}, id="caches"),
        pytest.param("stages/report/page.py", set(), id="stage with dependencies of its own"),
    ],
)
def test_a_changed_source_is_declared_to_the_stages_that_it_decides(checkout: Path, file: str, verbs: set[str]) -> None:
    before = declared_in(checkout)
    with (checkout / file).open("a") as source:
        source.write("# changed\n")
    after = declared_in(checkout)
    assert {stage.split("/")[0] for stage in after if after[stage] != before[stage]} == verbs


def test_declared_files_are_the_same_on_every_run_and_lose_what_is_gone(workspace: Workspace, built: Params) -> None:
    copy_pipeline(workspace)
    write_lists(built, workspace)
    folder = workspace.declared
    (folder / "fetch").mkdir(parents=True)
    (folder / "fetch/gone.json").write_bytes(b"{}")
    runs = []
    for _ in range(2):
        assert run_stage(workspace, "declare").returncode == 0
        runs.append(files_in(folder))
    assert runs[0] == runs[1]
    assert set(runs[0]) == {
        *(f"{verb}/{name}.json" for verb in ("fetch", "engines") for name in built.models),
        *("pack/cpu.json", "models.json", "validate.json"),
    }
    assert read_json(folder / "pack/cpu.json")["models"] == licences_of(built)


def test_a_stage_that_would_read_other_params_than_were_declared_refuses(workspace: Workspace, built: Params) -> None:
    folder = workspace.declared / "engines"
    folder.mkdir(parents=True)
    documents = dict(declarations(built))
    name = next(iter(built.models))
    (folder / f"{name}.json").write_bytes(json_bytes(documents[f"engines/{name}"]))
    check_declared(workspace, f"engines/{name}", built)
    (folder / f"{name}.json").write_bytes(json_bytes({**documents[f"engines/{name}"], "check": {}}))
    with pytest.raises(MorphstreamError, match="stages now, seen that of an earlier time"):
        check_declared(workspace, f"engines/{name}", built)
    assert "run `dvc repro`" in refusal(workspace, "prepare", name)
