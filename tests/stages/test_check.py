"""What strays from its original past the tolerance is refused by name, and what is locked has no figure in it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import numpy_helper

from morphstream.artifact.digest import digest_of_file
from stages.check import CHECKED, MEASURED, Parity, compare, normalise, parity_of, seeded_inputs
from stages.files import BUILD, ENGINES, PREPARED
from stages.params import Params
from stages.surgery.crop_input import Normalisation
from stages.surgery.plan import Output, Plan
from tests.stages import PARAMS, files_in, read_json, refusal, run_stage

LANDMARKS, SWAPPER = "fan_68_5", "inswapper_128_fp16"
EQUAL = Parity(cosine=1.0, max_abs_error=0.0, levels=0, labels_off=0.0)
NUMBERS: npt.NDArray[np.float32] = np.random.default_rng(12).standard_normal((4, 512)).astype(np.float32)


def parities(built: Params, name: str) -> dict[str, Parity]:
    model = built.model(name)
    return compare(model, BUILD / model.file, PREPARED / name, ENGINES / "cpu" / name)


def scale_weights(path: Path, factor: float) -> None:
    """Scale every matrix of a prepared model."""
    model = onnx.load_model(path)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype in (np.float16, np.float32) and values.size > 3:
            tensor.CopyFrom(numpy_helper.from_array((values * factor).astype(values.dtype), tensor.name))
    path.write_bytes(model.SerializeToString(deterministic=True))


def scale_ir(factor: float) -> None:
    """Scale every weight of the CPU's engine."""
    (path,) = (ENGINES / "cpu" / LANDMARKS).glob("*.bin")
    values = np.frombuffer(path.read_bytes(), np.float32)
    path.write_bytes((values * np.float32(factor)).tobytes())


def compare_numbers(seen: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> float:
    plan = Plan(pixels="x", crop="x", normalisation=None, outputs={"y": Output(source="y")})
    return parity_of({"y": seen}, {"y": reference}, plan).cosine


def test_a_good_model_passes_and_its_record_has_no_figure(built: Params) -> None:
    before = files_in(PREPARED)
    done = run_stage(Path.cwd(), "check", LANDMARKS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    record = read_json(CHECKED / f"{LANDMARKS}.json")
    assert set(record) == {"prepared", "fp16", "cpu", "gpu"}
    assert record.pop("gpu") == {"executed": False}
    for entry in record.values():
        assert set(entry) == {"executed", "cosine_at_least", "levels_at_most", "passed"}
        assert entry["executed"] is entry["passed"] is True
        assert entry["cosine_at_least"] in {0.99999, built.model(LANDMARKS).tolerance}
    measured = read_json(MEASURED / f"{LANDMARKS}.json")
    assert set(measured) == {"prepared", "fp16", "cpu"}
    assert 0.999 < measured["fp16"]["cosine"] < 1
    assert files_in(PREPARED) == before


def test_two_runs_lock_the_same_bytes(built: Params) -> None:
    records = []
    for _ in range(2):
        assert run_stage(Path.cwd(), "check", SWAPPER).returncode == 0
        records.append((CHECKED / f"{SWAPPER}.json").read_bytes())
    assert records[0] == records[1]


@pytest.mark.parametrize(
    ("alteration", "name"),
    [
        pytest.param(lambda: scale_weights(PREPARED / LANDMARKS / "fp32.onnx", 1.1), "prepared", id="prepared"),
        pytest.param(lambda: scale_weights(PREPARED / LANDMARKS / "fp16.onnx", 1.1), "fp16", id="half precision"),
        pytest.param(lambda: scale_weights(PREPARED / LANDMARKS / "fp16.onnx", np.nan), "fp16", id="not a number"),
        pytest.param(lambda: scale_weights(PREPARED / LANDMARKS / "fp16.onnx", 0), "fp16", id="all zeros"),
        pytest.param(lambda: scale_ir(1.1), "cpu", id="the CPU's engine"),
    ],
)
def test_what_is_off_is_refused_by_name_and_not_recorded(
    built: Params, alteration: Callable[[], None], name: str
) -> None:
    alteration()
    message = refusal(Path.cwd(), "check", LANDMARKS)
    assert message.startswith(f"check {LANDMARKS}: {name}: expected a cosine of ")
    assert message.endswith(f"mend the surgery, or change models.{LANDMARKS}.tolerance")
    assert not (CHECKED / f"{LANDMARKS}.json").exists()


def test_a_swapper_that_is_off_by_levels_is_refused(built: Params) -> None:
    scale_weights(PREPARED / SWAPPER / "fp32.onnx", 1.1)
    assert ": prepared: expected a cosine of " in refusal(Path.cwd(), "check", SWAPPER)


def test_without_its_engine_a_model_is_not_checked(built: Params) -> None:
    for path in (ENGINES / "cpu" / LANDMARKS).iterdir():
        path.unlink()
    assert "expected an engine of OpenVINO, seen none; compile it first" in refusal(Path.cwd(), "check", LANDMARKS)
    assert not (CHECKED / f"{LANDMARKS}.json").exists()


@pytest.mark.parametrize("name", [LANDMARKS, SWAPPER, "xseg_1"])
def test_the_kit_s_models_are_far_inside_their_tolerance(built: Params, name: str) -> None:
    for what, parity in parities(built, name).items():
        assert parity.cosine > (0.9999 if what == "fp16" else 0.999999)
        assert parity.levels <= 1


def test_seeded_inputs_are_the_same_on_every_run_and_of_the_contract_s_types(built: Params) -> None:
    first, second = (seeded_inputs(PREPARED / SWAPPER) for _ in range(2))
    assert {name: (array.dtype.name, array.shape) for name, array in first.items()} == {
        "crop": ("uint8", (1, 128, 128, 3)),
        "source": ("float32", (1, 512)),
    }
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
    assert int(np.ptp(first["crop"].astype(int))) > 200
    assert seeded_inputs(PREPARED / "xseg_1")["crop"].shape[0] == 2  # a dynamic batch is tried with two


def test_the_host_s_normalisation_is_the_owner_s() -> None:
    pixel = np.array([[[[0, 127, 255]]]], np.uint8)  # blue, green, red
    how = Normalisation(mean=[127.5], std=[127.5])
    np.testing.assert_allclose(normalise(pixel, how).ravel(), [1, -1 / 255, -1], atol=1e-6)
    as_is = replace(how, mean=[0.0], std=[255.0], is_rgb=False, is_nchw=False)
    np.testing.assert_allclose(normalise(pixel, as_is).ravel(), [0, 127 / 255, 1], atol=1e-6)
    assert normalise(pixel, how).shape == (1, 3, 1, 1)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(2 * NUMBERS, id="twice as large"),
        pytest.param(-NUMBERS, id="the other way round"),
        pytest.param(NUMBERS[::-1].copy(), id="in another order"),
        pytest.param(0 * NUMBERS, id="zeros"),
        pytest.param(np.full_like(NUMBERS, np.nan), id="not a number"),
        pytest.param(np.full_like(NUMBERS, np.inf), id="infinite"),
    ],
)
def test_other_numbers_are_below_any_tolerance(seen: npt.NDArray[np.float32]) -> None:
    assert compare_numbers(seen, NUMBERS) < min(model.tolerance for model in PARAMS.models.values())


def test_equal_numbers_are_a_cosine_of_one() -> None:
    assert compare_numbers(NUMBERS, NUMBERS) == 1
    assert compare_numbers(0 * NUMBERS, 0 * NUMBERS) == 1
    assert compare_numbers(NUMBERS * np.float32(1.001), NUMBERS) > 0.999999


def test_labels_and_levels_are_compared_by_share_and_by_difference() -> None:
    outputs = {"labels": Output(source="a", form="labels"), "swapped": Output(source="b", form="crop")}
    plan = Plan(pixels="x", crop="x", normalisation=None, outputs=outputs)
    reference: dict[str, npt.NDArray[np.generic]] = {
        "labels": np.zeros((1, 2, 2), np.uint8),
        "swapped": np.full((1, 1, 1, 3), 255, np.uint8),
    }
    assert parity_of(reference, reference, plan) == EQUAL
    seen = {"labels": np.array([[[0, 0], [0, 18]]], np.uint8), "swapped": np.array([[[[255, 253, 0]]]], np.uint8)}
    assert parity_of(seen, reference, plan) == replace(EQUAL, levels=255, labels_off=0.25)


def test_checking_alters_nothing_it_checks(built: Params) -> None:
    files = [*BUILD.rglob("*.onnx"), *ENGINES.rglob("*.*")]
    before = {path: digest_of_file(path) for path in files}
    parities(built, SWAPPER)
    assert {path: digest_of_file(path) for path in files} == before
