"""Figures trip a bound where it ends, coarse ones are what machines share, and no CPU replaces a GPU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper

from morphstream.artifact.errors import ModelError
from morphstream.artifact.target import Target
from morphstream.face.geometry import ARCFACE_128, align
from morphstream.machine.probe import Machine
from morphstream.pipeline import SwapPipeline
from morphstream.session.provider import PROVIDERS
from morphstream.store.store import Store
from stages.params import Params
from stages.parity.engine import run_engine, why_not
from stages.parity.figures import Figures, coarsen, compare_outputs, figures_of, shortfall, worst
from stages.parity.inputs import ALIGNED, POINTS5, sample_inputs
from stages.parity.meaning import Part, Unit
from stages.parity.run import normalise, run_onnx, run_original
from stages.photos import astronaut
from stages.surgery.crop_input import Normalisation
from stages.surgery.plan import Output, Plan
from stages.tolerance import SINGLE
from stages.workspace import Workspace
from tests.stages import PARAMS, files_in, model_of, needs_bfloat16, original, read_json

NUMBERS: npt.NDArray[np.float64] = np.random.default_rng(12).standard_normal(2048)
PEAK = NUMBERS / np.abs(NUMBERS).max()
BESIDE: npt.NDArray[np.float64] = np.random.default_rng(13).standard_normal(2048)
BESIDE -= NUMBERS * (BESIDE @ NUMBERS) / (NUMBERS @ NUMBERS)
BESIDE *= np.linalg.norm(NUMBERS) / np.linalg.norm(BESIDE)
UNITS: tuple[Unit, ...] = ("boxes", "points", "score", "mask", "embedding")
CPU, BF16, RTX, TRT = (PARAMS.target(name).target for name in ("cpu", "cpu-bf16", "rtx-sm89", "trt-sm89"))
MACHINE = Machine(arch="x86_64", gpu_archs=("sm89",), libraries={"tensorrt_rtx": "1.7.1", "onnxruntime": "1.31.1"})


def turned(cosine: float) -> npt.NDArray[np.float64]:
    """Return numbers of this cosine to `NUMBERS`, and of their length."""
    return NUMBERS * cosine + BESIDE * float(np.sqrt(1 - cosine**2))


def off_by(levels: int) -> npt.NDArray[np.float64]:
    crop = np.full(2048, 100.0)
    crop[7] += levels
    return crop


def mislabelled(count: int) -> npt.NDArray[np.float64]:
    labels = np.zeros(40000)
    labels[:count] = 18
    return labels


def figures_as(unit: Unit, seen: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> Figures:
    """Compare one column of one row of an output."""
    return figures_of(Part(unit, seen.reshape(1, -1, 1)), reference.reshape(1, -1, 1))


@pytest.mark.parametrize(
    ("unit", "reference", "allowed", "too_far"),
    [
        pytest.param("embedding", NUMBERS, NUMBERS * 1.00446, NUMBERS * 1.00449, id="length"),
        pytest.param("boxes", 99 * NUMBERS, 99 * NUMBERS + 0.0499, 99 * NUMBERS + 0.0501, id="pixels"),
        pytest.param("score", NUMBERS / 4, NUMBERS / 4 - 0.00099, NUMBERS / 4 - 0.00101, id="score"),
        pytest.param("score", 9 * PEAK, 9 * PEAK - 0.0089, 9 * PEAK - 0.0091, id="score above 1"),
        pytest.param("score", NUMBERS / 1e3, NUMBERS * 1.00446 / 1e3, NUMBERS * 1.00449 / 1e3, id="small scores"),
        pytest.param("crop", off_by(0), off_by(1), off_by(2), id="levels"),
        pytest.param("crop", off_by(1), off_by(0), off_by(-1), id="levels below"),
        pytest.param("mask", 100 * off_by(0), 100 * off_by(0) + 1, 100 * off_by(0) + 1.01, id="levels of a mask"),
        pytest.param("labels", mislabelled(0), mislabelled(4), mislabelled(5), id="labels"),
    ],
)
def test_a_bound_holds_up_to_its_edge_and_no_further(
    unit: Unit,
    reference: npt.NDArray[np.float64],
    allowed: npt.NDArray[np.float64],
    too_far: npt.NDArray[np.float64],
) -> None:
    assert shortfall(figures_as(unit, reference, reference), SINGLE) == ""
    assert shortfall(figures_as(unit, allowed, reference), SINGLE) == ""
    assert shortfall(figures_as(unit, too_far, reference), SINGLE).startswith("expected ")


@pytest.mark.parametrize("cosine", [0.9999901, 0.9999899, 0.99901, 0.99899])
def test_a_cosine_is_that_of_the_angle(cosine: float) -> None:
    figures = figures_as("embedding", turned(cosine), NUMBERS)
    assert figures["cosine"] == pytest.approx(cosine, abs=1e-9)
    for tolerance in (SINGLE, replace(SINGLE, cosine=0.999)):
        assert (shortfall({"cosine": figures["cosine"]}, tolerance) == "") == (cosine > tolerance.cosine)


def test_a_model_s_own_tolerance_is_kept_too() -> None:
    own = replace(SINGLE, cosine=0.999, levels=2, pixels=0.5)
    assert shortfall(figures_as("crop", off_by(2), off_by(0)), own) == ""
    assert shortfall(figures_as("crop", off_by(3), off_by(0)), own)
    assert shortfall(figures_as("boxes", off_by(0) + 0.49, off_by(0)), own) == ""
    assert shortfall(figures_as("boxes", off_by(0) + 0.51, off_by(0)), own)
    own = replace(SINGLE, labels=0.02)
    assert shortfall(figures_as("labels", mislabelled(1800), mislabelled(1000)), own) == ""
    assert shortfall(figures_as("labels", mislabelled(1801), mislabelled(1000)), own)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(2 * NUMBERS, id="twice as large"),
        pytest.param(-NUMBERS, id="the other way round"),
        pytest.param(NUMBERS[::-1], id="in another order"),
        pytest.param(0 * NUMBERS, id="zeros"),
    ],
)
def test_other_numbers_are_below_any_tolerance(seen: npt.NDArray[np.float64]) -> None:
    for model in PARAMS.models.values():
        for unit in UNITS:
            assert shortfall(figures_as(unit, seen, NUMBERS), model.tolerance)


def test_equal_outputs_have_finite_figures() -> None:
    assert figures_as("embedding", 0 * NUMBERS, 0 * NUMBERS) == {"cosine": 1.0, "number_cosine": 1.0}
    assert figures_as("boxes", 0 * NUMBERS, 0 * NUMBERS) == {"pixels": 0.0, "column_cosine": 1.0}
    assert figures_as("crop", off_by(1), off_by(1)) == {"psnr_db": 100.0, "levels": 0}
    assert figures_as("labels", mislabelled(1), mislabelled(1)) == {"labels_off": 0.0, "overlap": 1.0}


def test_the_ratio_of_a_crop_is_that_of_its_definition() -> None:
    assert figures_as("crop", np.full(9, 255.0), np.zeros(9)) == {"psnr_db": 0.0, "levels": 255}
    assert figures_as("crop", np.full(9, 101.0), np.full(9, 100.0))["psnr_db"] == pytest.approx(48.1308)


@pytest.mark.parametrize(
    ("exact", "coarse"),
    [
        ({"cosine": 1.0, "number_cosine": 1.0}, {"cosine": 0.99999}),
        ({"pixels": 1e-4, "column_cosine": 0.9999999}, {"pixels": 0.1, "column_cosine": 0.99999}),
        ({"pixels": 0.2, "column_cosine": 0.99998}, {"pixels": 1.0, "column_cosine": 0.9999}),
        ({"score": 0.0, "column_cosine": -0.5}, {"score": 0.001, "column_cosine": 0.0}),
        ({"score": 0.004}, {"score": 0.01}),
        ({"psnr_db": 100.0, "levels": 0}, {"psnr_db": 50}),
        ({"psnr_db": 71.8, "levels": 1}, {"psnr_db": 50}),
        ({"psnr_db": 49.9, "levels": 1}, {"psnr_db": 40}),
        ({"labels_off": 0.0, "overlap": 1.0}, {"labels_off": 0.001}),
        ({"labels_off": 0.002}, {"labels_off": 0.01}),
    ],
)
def test_coarse_figures_are_steps_never_better_than_the_exact_ones(exact: Figures, coarse: Figures) -> None:
    assert coarsen(exact) == coarse


def test_the_worst_of_each_figure_is_returned() -> None:
    first = {"cosine": 0.9, "pixels": 1.0}
    assert worst([first, {"psnr_db": 50.0, "levels": 1}, {"cosine": 0.8, "pixels": 0.5, "score": 0.1}]) == {
        "cosine": 0.8,
        "pixels": 1.0,
        "score": 0.1,
        "psnr_db": 50.0,
        "levels": 1,
    }


def test_inputs_are_the_same_on_every_run_and_of_the_contract_s_types(workspace: Workspace, built: Params) -> None:
    contract = read_json(workspace.prepared / "inswapper_128_fp16" / "contract.json")
    first, second = (sample_inputs(contract) for _ in range(2))
    assert {name: (array.dtype.name, array.shape) for name, array in first.items()} == {
        "crop": ("uint8", (2, 128, 128, 3)),
        "source": ("float32", (2, 512)),
    }
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
    np.testing.assert_allclose(np.linalg.norm(first["source"], axis=1), 1, atol=1e-6)
    assert int(np.ptp(first["crop"][0].astype(int))) > 200


def test_a_frame_is_the_whole_photo_and_keeps_its_shape() -> None:
    frame = sample_inputs({"role": "detector", "inputs": {"frame": {"dtype": "uint8", "shape": [-1, 320, 640, 3]}}})[
        "frame"
    ][1]
    assert frame[:, :320].any(axis=2).mean() > 0.85
    assert not frame[:, 320:].any()


def test_the_stated_points_and_crop_are_those_of_the_detector_and_the_template(booted: Store) -> None:
    with SwapPipeline(booted, swap_model="inswapper_128") as swap:
        (face,) = swap.detect(astronaut())
    np.testing.assert_allclose(POINTS5, face.points5, atol=0.02)
    fitted = align(POINTS5, ARCFACE_128, 1)
    np.testing.assert_allclose(ALIGNED, fitted, rtol=1e-4)


def test_the_host_s_normalisation_is_the_owner_s() -> None:
    pixel = np.array([[[[0, 127, 255]]]], np.uint8)  # blue, green, red
    how = Normalisation(mean=[127.5], std=[127.5])
    np.testing.assert_allclose(normalise(pixel, how).ravel(), [1, -1 / 255, -1], atol=1e-6)
    as_is = replace(how, mean=[0.0], std=[255.0], is_rgb=False, is_nchw=False)
    np.testing.assert_allclose(normalise(pixel, as_is).ravel(), [0, 127 / 255, 1], atol=1e-6)
    assert normalise(pixel, how).shape == (1, 3, 1, 1)


def test_a_broken_engine_of_the_cpu_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "engine.xml").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"engine\.xml: expected an engine for OpenVINO, seen .*; compile it again$"):
        run_engine(tmp_path, CPU, {})


def test_an_engine_of_another_model_is_refused(workspace: Workspace, built: Params) -> None:
    with pytest.raises(ModelError, match=r"seen inputs frame instead of crop; compile it again$"):
        run_engine(workspace.engines / "xseg_1" / "cpu", CPU, {"frame": np.zeros((1, 8, 8, 3), np.uint8)})


@needs_bfloat16
def test_in_bfloat16_numbers_are_rounded_to_eight_bits_and_in_single_precision_not(
    workspace: Workspace, built: Params
) -> None:
    folder, random = workspace.engines / "xseg_1" / "cpu", np.random.default_rng(0)
    inputs = {"crop": random.integers(0, 256, (2, 256, 256, 3)).astype(np.uint8)}
    single, again = (run_engine(folder, CPU, inputs)[0]["mask"] for _ in range(2))
    rounded = run_engine(folder, BF16, inputs)[0]["mask"]
    np.testing.assert_array_equal(single, again)
    assert rounded.dtype == single.dtype == np.float32
    assert 1e-4 < np.abs(rounded - single).max() < 0.1


@pytest.mark.parametrize("kind", [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16], ids=["single", "half"])
def test_an_original_of_one_row_and_no_batch_axis_is_run_row_by_row(tmp_path: Path, kind: int) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    shapes = ({"x": (1, 4, 3)}, {"y": (4, 3)})
    model = model_of(nodes, *shapes, {"shape": np.array([4, 3])}, kind)
    (tmp_path / "original.onnx").write_bytes(model.SerializeToString())
    plan = Plan(pixels="x", crop="x", normalisation=None, outputs={"kps_8": Output(source="y")})
    rows = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    outputs = run_original(tmp_path / "original.onnx", plan, {"x": rows})
    assert compare_outputs({"kps_8": rows}, outputs, plan)["kps_8"] == {"pixels": 0.0, "column_cosine": 1.0}
    with pytest.raises(ModelError, match=r"original\.onnx: expected a model for ONNX Runtime, seen .*INVALID_ARGUMENT"):
        run_onnx(tmp_path / "original.onnx", {"x": rows}, rows=2)


@pytest.mark.parametrize(
    ("machine", "target", "reason"),
    [
        pytest.param(replace(MACHINE, gpu_archs=(), no_gpu="no driver"), "rtx-sm89", "no GPU: no driver", id="no GPU"),
        pytest.param(MACHINE, "rtx-sm86", "expected arch sm86, seen x86_64, sm89", id="another arch"),
        pytest.param(
            replace(MACHINE, libraries={"onnxruntime": "1.24.4"}),
            "rtx-sm89",
            "expected TensorRT for RTX 1.7 and ONNX Runtime 1.31, seen none and 1.24.4",
            id="other libraries",
        ),
    ],
)
def test_why_an_engine_is_not_executed_is_said(machine: Machine, target: str, reason: str) -> None:
    assert reason in why_not(PARAMS.target(target), machine)


def test_engines_of_cpus_are_executed_anywhere() -> None:
    assert why_not(PARAMS.target("cpu"), replace(MACHINE, gpu_archs=())) == ""


def test_without_its_provider_no_engine_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "tensorrt_rtx", "NoSuchExecutionProvider")
    expected = "expected ONNX Runtime with NoSuchExecutionProvider, seen .*CPUExecutionProvider"
    (tmp_path / "engine.onnx").write_bytes(original("fan_68_5"))
    with pytest.raises(ModelError, match=expected):
        run_engine(tmp_path, RTX, {})
    assert "NoSuchExecutionProvider" in why_not(PARAMS.target("rtx-sm89"), MACHINE)


def test_the_cpu_never_replaces_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider of ONNX Runtime that runs no node is in the place of one whose library can't be loaded."""
    (tmp_path / "engine.onnx").write_bytes(original("fan_68_5"))
    provider = "AzureExecutionProvider"
    monkeypatch.setitem(PROVIDERS, "tensorrt_rtx", provider)
    with pytest.raises(ModelError, match=f"expected an engine for {provider}, seen .*CPU EP.*; compile it again$"):
        run_engine(tmp_path, RTX, {"input": np.zeros((2, 5, 2), np.float32)})


@pytest.mark.parametrize("target", [RTX, TRT], ids=["TensorRT for RTX", "TensorRT"])
def test_without_its_engine_a_gpu_is_not_asked(tmp_path: Path, target: Target) -> None:
    (tmp_path / "x.engine").write_bytes(b"an engine")
    with pytest.raises(ModelError, match="expected an engine's EPContext model, seen none; compile it first"):
        run_engine(tmp_path, target, {})
    assert set(files_in(tmp_path)) == {"x.engine"}


def test_tensorrt_is_asked_for_the_engine_that_was_built(tmp_path: Path) -> None:
    """Here ONNX Runtime has no TensorRT: the engine's EPContext model gets as far as that."""
    (tmp_path / "x_ctx.onnx").write_bytes(original("fan_68_5"))
    with pytest.raises(ModelError, match=r"expected ONNX Runtime with TensorrtExecutionProvider, seen "):
        run_engine(tmp_path, TRT, {})
    assert set(files_in(tmp_path)) == {"x_ctx.onnx"}
