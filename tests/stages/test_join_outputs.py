"""A detector's nine outputs are one output's columns and rows, none lost and none mixed."""

import numpy as np
import pytest
from onnx import helper

from morphstream.artifact.errors import ModelError
from stages.surgery.join_outputs import WIDTHS, join_outputs, part_outputs
from tests.stages import Dims, model_of, run_model, shapes_of

ROWS = {8: 4, 16: 3, 32: 1}
SIZES = {f"{role}_{stride}": (rows, width) for stride, rows in ROWS.items() for role, width in WIDTHS.items()}


def test_nine_outputs_are_one_and_come_apart_again() -> None:
    nodes = [helper.make_node("Identity", [f"in_{name}"], [name]) for name in SIZES]
    outputs: dict[str, Dims] = {name: ["N", *size] for name, size in SIZES.items()}
    inputs = {f"in_{name}": shape for name, shape in outputs.items()}
    joined = join_outputs(model_of(nodes, inputs, outputs), "anchors")
    assert shapes_of(joined.graph.output) == {"anchors": ["N", 8, 15]}

    random = np.random.default_rng(0)
    arrays = {name: random.standard_normal((2, *size)).astype(np.float32) for name, size in SIZES.items()}
    seen = run_model(joined, **{f"in_{name}": array for name, array in arrays.items()})["anchors"]
    parts = part_outputs(seen, {name: array.size for name, array in arrays.items()})
    assert parts.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(parts[name], array)


@pytest.mark.parametrize(
    "shape", [(240,), (2, 120), (2, 15, 8), (2, 9, 15)], ids=["flat", "rows", "turned", "a row more"]
)
def test_anchors_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    sizes = {name: 2 * rows * width for name, (rows, width) in SIZES.items()}
    with pytest.raises(ModelError, match=r"anchors: expected 16 rows of 15 numbers, seen a shape of \("):
        part_outputs(np.zeros(shape), sizes)
