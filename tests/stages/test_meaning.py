"""Numbers are compared by what they mean: whatever a column loses, of any role's output, keeps no tolerance."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pytest

from morphstream.artifact.errors import ModelError
from stages.parity.figures import Arrays, compare_outputs, shortfall, unseen
from stages.parity.inputs import sample_inputs
from stages.parity.run import run_original
from stages.surgery.plan import Output, Plan, plan_of
from stages.tolerance import SINGLE, Tolerance
from tests.stages import PARAMS, Array, loaded, original

MODELS = (
    "det_10g",
    "w600k_r50",
    "fan_68_5",
    "2dfan4",
    "xseg_1",
    "bisenet_resnet_34",
    "yolov8n",
    "inswapper_128",
    "hyperswap_1a_256",
    "gfpgan",
)
Damage = Callable[[Array], Array]


@cache
def outputs_of(name: str) -> tuple[Plan, Arrays]:
    """Return a model's plan, and what the kit's original gives for the inputs of `check`."""
    model = PARAMS.model(name)
    plan = plan_of(loaded(name), model)
    inputs: dict[str, dict[str, object]] = {}
    for key, (_, *shape) in model.inputs.items():
        if key == plan.pixels and plan.normalisation is not None:
            side = max(shape)
            inputs[plan.crop] = {"dtype": "uint8", "shape": [-1, side, side, 3]}
        else:
            inputs[key] = {"dtype": "float32", "shape": [-1, *shape]}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "original.onnx"
        path.write_bytes(original(name))
        return plan, run_original(path, plan, sample_inputs({"role": model.role, "inputs": inputs}))


def columns_of(name: str, output: Array, *, of_numbers: bool) -> Iterator[tuple[slice | int, ...]]:
    """Yield an index of each column of an output, of all rows and of the last row alone.

    Labels have one column. So does an embedding, or one for each of its numbers, which has an item a row.
    """
    if name == "labels" or (name == "embedding" and not of_numbers):
        yield from [(slice(None),), (slice(len(output) - 1, None),)]
        return
    axis = 1 if name in ("persons", "embedding") else output.ndim - 1
    for column in range(output.shape[axis]):
        for row in [slice(None)] if name == "embedding" else [slice(None), slice(len(output) - 1, None)]:
            yield (row, *[slice(None)] * (axis - 1), column)


def is_refused(name: str, seen: Array, reference: Array, tolerance: Tolerance) -> bool:
    plan = Plan(pixels="", crop="", normalisation=None, outputs={name: Output(source="")})
    try:
        (figures,) = compare_outputs({name: seen}, {name: reference}, plan).values()
    except ModelError:
        return True
    return shortfall(figures, tolerance) != ""


def shifted(column: Array) -> Array:
    """Return the column of each row one item further."""
    return np.roll(column, 1, axis=1 if column.ndim > 1 else 0)


def negated(column: Array) -> Array:
    return np.subtract(255 if column.dtype == np.uint8 else 0, column, dtype=column.dtype)


def with_one(value: float) -> Damage:
    def damaged(column: Array) -> Array:
        changed = column.astype(np.float32)
        changed.reshape(-1)[-1] = value
        return changed

    return damaged


def check_refused(name: str, damage: Damage, precision: str, *, of_numbers: bool) -> None:
    """Damage each column of each output of a model, and check that the outputs aren't within the tolerance."""
    plan, reference = outputs_of(name)
    tolerance = SINGLE if precision == "single" else PARAMS.model(name).tolerance
    for output in plan.outputs:
        right = reference[output]
        for index in columns_of(output, right, of_numbers=of_numbers):
            changed = damage(right[index])
            wrong = right.astype(changed.dtype)
            wrong[index] = changed
            if not np.array_equal(wrong, right):
                assert is_refused(output, wrong, right, tolerance), (output, index)


@pytest.mark.parametrize("precision", ["single", "own"])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(np.zeros_like, id="zeroed"),
        pytest.param(negated, id="negated"),
        pytest.param(with_one(np.nan), id="one NaN"),
        pytest.param(with_one(-np.inf), id="one infinity"),
    ],
)
@pytest.mark.parametrize("name", MODELS)
def test_a_column_that_is_lost_is_refused(name: str, damage: Damage, precision: str) -> None:
    check_refused(name, damage, precision, of_numbers=True)


@pytest.mark.parametrize("precision", ["single", "own"])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(shifted, id="shifted by an item"),
        pytest.param(lambda column: (column * np.float32(1.05)).astype(column.dtype), id="scaled by 1.05"),
    ],
)
@pytest.mark.parametrize("name", MODELS)
def test_a_column_that_is_shifted_or_scaled_is_refused(name: str, damage: Damage, precision: str) -> None:
    check_refused(name, damage, precision, of_numbers=False)


@pytest.mark.parametrize("precision", ["single", "own"])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "bisenet_resnet_34"])
def test_two_columns_that_are_exchanged_are_refused(name: str, precision: str) -> None:
    plan, reference = outputs_of(name)
    tolerance = SINGLE if precision == "single" else PARAMS.model(name).tolerance
    for output in plan.outputs:
        columns = np.moveaxis(right := reference[output], 1 if output in ("persons", "embedding") else -1, 0)
        for one, other in ((one, one - 1) for one in range(len(columns))):
            wrong = columns.copy()
            wrong[[one, other]] = columns[[other, one]]
            if not np.array_equal(wrong, columns):
                wrong = np.moveaxis(wrong, 0, 1 if output in ("persons", "embedding") else -1)
                assert is_refused(output, wrong, right, tolerance), (output, one)


@pytest.mark.parametrize("precision", ["single", "own"])
def test_two_outputs_of_a_detector_that_are_exchanged_are_refused(precision: str) -> None:
    plan, reference = outputs_of("det_10g")
    tolerance = SINGLE if precision == "single" else PARAMS.model("det_10g").tolerance
    for one, other in (("score_8", "score_16"), ("bbox_16", "bbox_32"), ("bbox_8", "kps_8")):
        wrong = {**reference, one: reference[other], other: reference[one]}
        with pytest.raises(ModelError, match=f"{one}: expected float32 of shape .*, seen float32 of shape"):
            compare_outputs(wrong, reference, plan)
    exchanged = reference["bbox_8"][:, ::-1].copy()
    assert is_refused("bbox_8", exchanged, reference["bbox_8"], tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_a_bad_row_among_good_ones_is_refused(name: str) -> None:
    plan, reference = outputs_of(name)
    for output in plan.outputs:
        right = reference[output]
        wrong = right.copy()
        wrong[0] = right[1]
        assert is_refused(output, wrong, right, PARAMS.model(name).tolerance), output


@pytest.mark.parametrize("name", ["det_10g", "w600k_r50", "fan_68_5", "2dfan4", "yolov8n"])
def test_what_is_rounded_to_half_precision_is_within_the_model_s_tolerance(name: str) -> None:
    plan, reference = outputs_of(name)
    for output in plan.outputs:
        rounded = reference[output].astype(np.float16).astype(np.float32)
        assert not is_refused(output, rounded, reference[output], PARAMS.model(name).tolerance), output


@pytest.mark.parametrize("precision", ["single", "own"])
def test_a_label_that_becomes_another_s_is_refused_however_small_its_area_is(precision: str) -> None:
    _, reference = outputs_of("bisenet_resnet_34")
    tolerance = SINGLE if precision == "single" else PARAMS.model("bisenet_resnet_34").tolerance
    right = reference["labels"]
    for label in np.unique(right):
        assert is_refused("labels", np.where(right == label, 18, right), right, tolerance), label
    small = right.copy()
    small[:, 8:12, 8:12] = 6  # glasses of 16 pixels, of 262144
    assert is_refused("labels", right, small, replace(tolerance, labels=0.25))


SCALES = 10.0 ** np.linspace(-3, 3, 64)
ORDERS = (np.random.default_rng(7).standard_normal((4, 64)) * SCALES).astype(np.float32)


@pytest.mark.parametrize("tolerance", [SINGLE, PARAMS.model("w600k_r50").tolerance], ids=["single", "own"])
def test_a_number_a_million_times_smaller_than_others_counts_too(tolerance: Tolerance) -> None:
    for column in range(64):
        for factor in (0, -1):
            wrong = ORDERS.copy()
            wrong[:, column] *= factor
            assert is_refused("embedding", wrong, ORDERS, tolerance), column
    assert not is_refused("embedding", ORDERS * np.float32(1 + 1e-6), ORDERS, tolerance)


@pytest.mark.parametrize("tolerance", [SINGLE, PARAMS.model("yolov8n").tolerance], ids=["single", "own"])
def test_scores_of_a_person_detector_are_seen_beside_its_boxes(tolerance: Tolerance) -> None:
    random = np.random.default_rng(0)
    persons = np.concatenate([random.uniform(8, 640, (2, 4, 500)), random.uniform(0, 1e-3, (2, 80, 500))], 1)
    persons[:, 4, ::40] = 0.9
    wrong = persons.copy()
    wrong[:, 4:] = 0
    assert is_refused("persons", wrong, persons, tolerance)
    for label in range(4, 84):  # also those that no place is sure of
        wrong = persons.copy()
        wrong[1, label] = 0
        assert is_refused("persons", wrong, persons, tolerance), label


@pytest.mark.parametrize(("cell", "width"), [(1.0, 3), (0.01, 2)], ids=["of a grid", "of a crop of side 1"])
def test_points_are_compared_by_their_mean_distance_in_pixels_and_their_confidence_apart(
    cell: float, width: int
) -> None:
    right = np.random.default_rng(2).uniform(10 * cell, 50 * cell, (2, 68, width))
    right[..., 2:] = 0.7
    pixels = 4 if width > 2 else 5.12

    def moved(count: int, cells: float = 1) -> Array:
        wrong = right.copy()
        wrong[1, :count, 0] += cells * cell
        return wrong

    plan = Plan(pixels="", crop="", normalisation=None, outputs={"points68": Output(source="")})
    figures = compare_outputs({"points68": moved(17)}, {"points68": right}, plan)["points68"]
    assert figures["pixels"] == pytest.approx(pixels / 4)
    assert figures.get("score", 0) == 0
    half = PARAMS.model("2dfan4").tolerance
    assert is_refused("points68", moved(5), right, half)
    assert not is_refused("points68", moved(2, cells=0.9), right, half)  # in half precision, two of 68 in the next cell
    assert is_refused("points68", moved(1, cells=2), right, half)
    assert is_refused("points68", moved(1), right, SINGLE)


def test_of_a_column_without_anything_it_is_said_that_nothing_is_known() -> None:
    plan, reference = outputs_of("yolov8n")
    assert unseen(reference, plan) == {"persons": 79}  # a stand-in that scores persons alone
    for name in ("det_10g", "2dfan4", "xseg_1", "hyperswap_1a_256"):
        plan, reference = outputs_of(name)
        assert unseen(reference, plan) == {}
    plan, reference = outputs_of("bisenet_resnet_34")
    assert unseen(reference, plan) == {"labels": 19 - len(np.unique(reference["labels"]))}
    few = {"labels": reference["labels"].copy()}
    few["labels"][:, 0, :15] = 18  # a hat of 15 pixels
    assert unseen(few, plan) == unseen(reference, plan)
    black = {"swapped": np.zeros((2, 8, 8, 4), np.uint8)}
    assert unseen(black, Plan(pixels="", crop="", normalisation=None, outputs={"swapped": Output(source="")})) == {
        "swapped": 4
    }


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        pytest.param({"mask": np.ones((2, 4, 4, 1), np.uint8)}, "mask: expected float64 of .*, seen uint8", id="type"),
        pytest.param(
            {"mask": np.ones((2, 16, 1))}, r"mask: expected .*\(2, 4, 4, 1\), seen .*\(2, 16, 1\)", id="shape"
        ),
        pytest.param({"mask": np.ones((1, 4, 4, 1))}, r"mask: expected .*, seen .*\(1, 4, 4, 1\)", id="a row less"),
        pytest.param({"crop": np.ones((2, 4, 4, 1))}, "expected an output mask, seen crop", id="name"),
    ],
)
def test_outputs_of_another_shape_or_type_are_refused(seen: dict[str, npt.NDArray[np.generic]], message: str) -> None:
    plan = Plan(pixels="", crop="", normalisation=None, outputs={"mask": Output(source="")})
    with pytest.raises(ModelError, match=message):
        compare_outputs(seen, {"mask": np.ones((2, 4, 4, 1))}, plan)


def test_a_reference_with_nan_is_refused() -> None:
    plan = Plan(pixels="", crop="", normalisation=None, outputs={"mask": Output(source="")})
    reference = {"mask": np.full((2, 4, 4, 1), np.nan)}
    with pytest.raises(ModelError, match="the reference's mask: expected numbers, seen NaN"):
        compare_outputs({"mask": np.ones((2, 4, 4, 1))}, reference, plan)
