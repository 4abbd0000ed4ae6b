"""Small models of one row, and the check that N rows of them are calculated apart."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.stages import Array, Dims, model_of, run_model

RANDOM = np.random.default_rng(21)
IMAGE: Dims = [1, 4, 6, 8]


def node(operator: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    """Return a node named by its output; inputs are words, and ``-`` is one left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(operator, names, [output], f"{output}_node", **attributes)  # type: ignore[arg-type]


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def floats(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


def constant(name: str, *numbers: int) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(ints(*numbers), "value"))


def check_rows(model: onnx.ModelProto, edited: onnx.ModelProto) -> None:
    """Check that three rows at once give what each gives alone in the model as it was, with an axis in front."""
    for value in (*edited.graph.input, *edited.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "N"
    rows = {value.name: floats(3, *shape_after(value)) for value in edited.graph.input}
    seen = run_model(edited, **rows)
    for i in range(3):
        for name, wanted in run_model(model, **{key: value[i : i + 1] for key, value in rows.items()}).items():
            given = seen[name][i : i + 1]
            assert given.shape in (wanted.shape, (1, *wanted.shape))
            np.testing.assert_allclose(given.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5)


def shape_after(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim[1:]]


Case = tuple[Sequence[onnx.NodeProto], Dims, Dims, Mapping[str, Array]]


def model_of_case(case: Case) -> onnx.ModelProto:
    """Return a model of nodes, shapes of ``x`` and ``y``, and weights."""
    nodes, x, y, weights = case
    return model_of(nodes, {"x": x}, {"y": y}, weights)
