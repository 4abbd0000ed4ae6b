"""What strays from its original past the tolerance is refused by name, and what is locked is what machines share."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import ModelError
from morphstream.machine.probe import Machine, probe_machine
from stages.check import check_comparison, locked, measured, reason_not_executed
from stages.compile import compile_model
from stages.params import Params, load_params
from stages.parity.compare import Comparison, compare
from stages.parity.engine import why_not
from stages.tolerance import SINGLE, Tolerance
from stages.workspace import Workspace
from tests.stages import (
    PARAMS,
    document,
    files_in,
    needs_bfloat16,
    read_json,
    reduced,
    refusal,
    run_stage,
    with_bfloat16,
    write_params,
)

LANDMARKS, SWAPPER, OCCLUDER = "fan_68_5", "inswapper_128_fp16", "xseg_1"


def append_nodes(path: Path, *nodes: onnx.NodeProto, **constants: Any) -> None:
    """Put nodes between a model's first output, there called ``before``, and its end."""
    model = onnx.load_model(path)
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["before" if output == name else output for output in node.output]
    for key, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), key))
    model.graph.node.extend(nodes)
    model.graph.node[-1].output[0] = name
    path.write_bytes(model.SerializeToString(deterministic=True))


def scale(workspace: Workspace, precision: str, factor: float) -> None:
    """Scale the landmarks of a prepared model."""
    path = workspace.prepared / LANDMARKS / f"{precision}.onnx"
    element = onnx.load_model(path).graph.output[0].type.tensor_type.elem_type
    kind = helper.tensor_dtype_to_np_dtype(element).type
    append_nodes(path, helper.make_node("Mul", ["before", "factor"], ["y"]), factor=kind(factor))


def mix_rows(workspace: Workspace) -> None:
    """Let each row of the landmarks depend on the others."""
    nodes = [
        helper.make_node("ReduceMean", ["before"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["before", "mean"], ["y"]),
    ]
    append_nodes(workspace.prepared / LANDMARKS / "fp32.onnx", *nodes)


def compile_for(workspace: Workspace, params: Params, target: str, model: str) -> None:
    prepared, engine = workspace.prepared / model, workspace.engines / model / target
    compile_model(params.target(target), prepared, engine, workspace.timing)


def replace_engine(workspace: Workspace, built: Params, factor: float) -> None:
    """Compile the CPU's engine from another prepared model than the one that stays."""
    path = workspace.prepared / LANDMARKS / "fp32.onnx"
    before = path.read_bytes()
    scale(workspace, "fp32", factor)
    compile_for(workspace, built, "cpu", LANDMARKS)
    path.write_bytes(before)


def test_a_good_model_passes_and_what_is_locked_is_its_bound(workspace: Workspace, built: Params) -> None:
    before = files_in(workspace.prepared)
    done = run_stage(workspace, "check", LANDMARKS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert read_json(workspace.checked / f"{LANDMARKS}.json") == {
        "prepared": {"pixels": 0.1, "column_cosine": 0.99999},
        "fp16": {"pixels": 0.1, "column_cosine": 0.99999},
        "cpu": {"executed": True, "pixels": 0.1, "column_cosine": 0.99999},
    }
    measured = read_json(workspace.measured / "check" / f"{LANDMARKS}.json")
    assert {subject: set(references) for subject, references in measured.items()} == {
        "prepared": {"original"},
        "fp16": {"prepared"},
        "cpu": {"prepared", "original"},
    }
    assert 0.02 < measured["fp16"]["prepared"]["points68"]["pixels"] < 0.05
    assert files_in(workspace.prepared) == before


@pytest.mark.parametrize(
    ("name", "shared"), [(SWAPPER, {"psnr_db": 50}), (OCCLUDER, {"psnr_db": 50, "column_cosine": 0.99999})]
)
def test_two_runs_lock_the_same_bytes(workspace: Workspace, built: Params, name: str, shared: dict[str, float]) -> None:
    records = []
    for _ in range(2):
        assert run_stage(workspace, "check", name).returncode == 0
        records.append((workspace.checked / f"{name}.json").read_bytes())
    assert records[0] == records[1]
    assert json.loads(records[0]) == {"prepared": shared, "cpu": {"executed": True, **shared}}


@pytest.mark.parametrize(
    ("alteration", "message"),
    [
        pytest.param(
            lambda workspace, _: scale(workspace, "fp32", 1.005),
            "prepared to original: points68: expected a cosine of 0.99999 in every column",
            id="prepared",
        ),
        pytest.param(
            lambda workspace, _: scale(workspace, "fp16", 1.05),
            "fp16 to prepared: points68: expected a cosine of 0.999 in every column at",
            id="half",
        ),
        pytest.param(
            lambda workspace, built: replace_engine(workspace, built, 1.005),
            "cpu to prepared: points68: expected a cosine of 0.99999 in every column",
            id="the CPU's engine",
        ),
        pytest.param(
            lambda workspace, _: scale(workspace, "fp32", np.nan),
            "prepared: points68: expected numbers, seen NaN",
            id="nan",
        ),
        pytest.param(
            lambda workspace, _: scale(workspace, "fp16", np.inf),
            "fp16: points68: expected numbers, seen NaN",
            id="infinity",
        ),
        pytest.param(
            lambda workspace, _: mix_rows(workspace),
            "prepared to original: points68: expected a cosine of 0.99999 in every column",
            id="rows that are mixed",
        ),
    ],
)
def test_what_is_off_is_refused_by_name_and_not_recorded(
    workspace: Workspace, built: Params, alteration: Callable[[Workspace, Params], None], message: str
) -> None:
    alteration(workspace, built)
    assert f"check {LANDMARKS}: {message}" in refusal(workspace, "check", LANDMARKS)
    assert not (workspace.checked / f"{LANDMARKS}.json").exists()


def test_what_is_off_by_less_than_the_tolerance_passes(workspace: Workspace, built: Params) -> None:
    scale(workspace, "fp32", 1.0001)
    scale(workspace, "fp16", 1.0005)
    replace_engine(workspace, built, 1.0)
    assert run_stage(workspace, "check", LANDMARKS).returncode == 0


def test_an_engine_as_far_as_allowed_from_a_model_that_is_so_too_is_refused(
    workspace: Workspace, built: Params
) -> None:
    scale(workspace, "fp32", 1.0001)
    replace_engine(workspace, built, 1.0001)
    expected = "cpu to original: points68: expected boxes and points off by 0.05 pixels at most"
    assert expected in refusal(workspace, "check", LANDMARKS)


def test_a_crop_that_is_off_by_levels_is_refused(workspace: Workspace, built: Params) -> None:
    path = workspace.prepared / SWAPPER / "fp32.onnx"
    three = helper.make_node("Add", ["before", "levels"], ["y"])
    append_nodes(path, three, levels=np.uint8(3))
    message = refusal(workspace, "check", SWAPPER)
    assert "prepared to original: swapped: expected a crop or mask off by 2 levels at most, seen " in message
    assert message.endswith(f"correct the surgery, or change models.{SWAPPER}.tolerance")


def test_without_its_engine_a_model_is_not_checked(workspace: Workspace, built: Params) -> None:
    for path in (workspace.engines / LANDMARKS / "cpu").iterdir():
        path.unlink()
    assert "expected an engine of OpenVINO, seen none; compile it first" in refusal(workspace, "check", LANDMARKS)
    assert not (workspace.checked / f"{LANDMARKS}.json").exists()


def test_what_onnx_runtime_cannot_run_is_refused_in_one_line_that_names_the_file(
    workspace: Workspace, built: Params
) -> None:
    path = workspace.prepared / LANDMARKS / "fp32.onnx"
    path.write_bytes(b"something else")
    message = refusal(workspace, "check", LANDMARKS)
    assert (
        f"build/{path.relative_to(workspace.build)}: expected a model for ONNX Runtime, seen [ONNXRuntimeError]"
        in message
    )


def test_a_target_whose_gpu_is_not_here_is_recorded_as_not_executed_and_the_reason_is_not_locked(
    workspace: Workspace, built: Params
) -> None:
    data = document()
    data["models"] = {LANDMARKS: data["models"][LANDMARKS]}
    params = write_params(workspace.root, data)
    targets = [name for name, build in params.builds.items() if why_not(build.target, probe_machine())]
    if "rtx-sm89" not in targets:
        pytest.skip("needs a machine that can't execute rtx-sm89")
    assert run_stage(workspace, "check", LANDMARKS).returncode == 0
    record, measured = (
        read_json(folder / f"{LANDMARKS}.json") for folder in (workspace.checked, workspace.measured / "check")
    )
    for name in targets:
        assert record[name] == {"executed": False}
        assert measured[name]["executed"] is False
        assert measured[name]["reason"]


@pytest.mark.parametrize("name", [LANDMARKS, SWAPPER, OCCLUDER])
def test_the_kit_s_models_are_far_inside_their_tolerance_and_the_steps_of_what_is_locked(
    workspace: Workspace, built: Params, name: str
) -> None:
    for comparison in compare(built.model(name), {"cpu": built.target("cpu")}, workspace):
        for figures in comparison.figures.values():
            assert figures.get("column_cosine", 1) > (0.999999 if comparison.subject == "fp16" else 0.99999999)
            assert figures.get("pixels", 0) < (0.2 if comparison.subject == "fp16" else 0.005)
            assert figures.get("psnr_db", 100) > 65
            assert figures.get("levels", 0) <= 1


def test_checking_alters_nothing_it_checks(workspace: Workspace, built: Params) -> None:
    files = [*workspace.build.rglob("*.onnx"), *workspace.engines.rglob("*.*")]
    before = {path: digest_of_file(path) for path in files}
    list(compare(built.model(SWAPPER), {"cpu": load_params(workspace.params).target("cpu")}, workspace))
    assert {path: digest_of_file(path) for path in files} == before


def test_a_target_s_own_tolerance_replaces_that_of_its_models(workspace: Workspace, built: Params) -> None:
    own = Tolerance(cosine=0.95, levels=9)
    options = replace(built.target("cpu"), tolerance=own)
    found = list(compare(built.model(LANDMARKS), {"cpu": options}, workspace))
    assert [(one.subject, one.stated, one.tolerance) for one in found] == [
        ("prepared", "", SINGLE),
        ("fp16", f"models.{LANDMARKS}", built.model(LANDMARKS).tolerance),
        ("cpu", "targets.cpu", own),
        ("cpu", "targets.cpu", own),
    ]


@pytest.mark.parametrize(
    ("stated", "remedy"),
    [("", "correct the surgery"), ("targets.cpu-bf16", "correct the surgery, or change targets.cpu-bf16.tolerance")],
    ids=["single precision", "a target's own"],
)
def test_a_refusal_names_the_key_of_its_tolerance(stated: str, remedy: str) -> None:
    tolerance = Tolerance(cosine=0.999, levels=1, labels=0.02)
    seen = {"labels": {"labels_off": 0.03}}
    comparison = Comparison(subject="cpu", reference="prepared", tolerance=tolerance, stated=stated, figures=seen)
    with pytest.raises(ModelError, match=rf"^cpu to prepared: labels: expected a share of 0\.02 .*; {remedy}$"):
        check_comparison(comparison)


def test_without_bfloat16_its_target_is_not_executed_and_the_reason_is_not_locked() -> None:
    machine = Machine(arch="x86_64", gpu_archs=(), libraries={"openvino": "2026.4.1"})
    options = PARAMS.target("cpu-bf16")
    reason = reason_not_executed(options, machine)
    assert reason.startswith("x86_64/ov2026.4_bf16: expected a CPU with bfloat16, seen one without")
    assert reason_not_executed(options, replace(machine, has_bfloat16=True)) == ""
    assert reason_not_executed(PARAMS.target("cpu"), machine) == ""
    assert locked([], {options.name: reason}) == {"cpu-bf16": {"executed": False}}
    assert measured([], {options.name: reason}) == {"cpu-bf16": {"executed": False, "reason": reason}}


@needs_bfloat16
def test_in_bfloat16_an_engine_is_executed_so_and_kept_to_the_tolerance_of_its_target(
    workspace: Workspace, built: Params
) -> None:
    params = write_params(workspace.root, with_bfloat16(reduced(built.models, ["cpu"])))
    compile_for(workspace, params, "cpu-bf16", SWAPPER)
    assert run_stage(workspace, "check", SWAPPER).returncode == 0
    assert read_json(workspace.checked / f"{SWAPPER}.json")["cpu-bf16"] == {"executed": True, "psnr_db": 50}
    levels = {
        subject: references["prepared"]["swapped"]["levels"]
        for subject, references in read_json(workspace.measured / "check" / f"{SWAPPER}.json").items()
        if subject.startswith("cpu")
    }
    assert levels["cpu"] <= 1 < levels["cpu-bf16"]


@needs_bfloat16
def test_what_is_off_in_bfloat16_is_refused_by_its_target(workspace: Workspace, built: Params) -> None:
    data = with_bfloat16(reduced(built.models, ["cpu"]))
    data["targets"]["cpu-bf16"]["tolerance"]["levels"] = 0
    params = write_params(workspace.root, data)
    compile_for(workspace, params, "cpu-bf16", SWAPPER)
    message = refusal(workspace, "check", SWAPPER)
    assert f"check {SWAPPER}: cpu-bf16 to prepared: swapped: expected a crop or mask off by 0 levels at most" in message
    assert message.endswith("or change targets.cpu-bf16.tolerance")
