"""A detector exported for one size gives at another what an export for that gives, or the node that can't is named."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.prepare import contract_of, edit
from stages.surgery.sides import with_sides
from tests.stages import PARAMS, loaded, run_model, shapes_of
from tests.stages.rows import RANDOM, floats
from tests.stages.test_batch_models import as_insightface

MODEL = PARAMS.model("det_10g")
FRAMES = RANDOM.integers(0, 256, (2, 320, 320, 3), np.uint8)


def as_written_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a detector as tools fold it: every size is a number."""
    model.opset_import[0].version = 14  # the first with `allowzero`
    rows = {value.name: value.type.tensor_type.shape.dim[1].dim_value for value in model.graph.output}
    for stride, count in ((8, 12800), (16, 3200), (32, 800)):
        rows |= dict.fromkeys(
            [node.input[0] for node in model.graph.node if node.output[0] == f"score_{stride}"], count
        )
    for node in model.graph.node:
        if node.op_type == "Reshape":
            shape = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
            own = numpy_helper.from_array(np.array([1, rows[node.output[0]], shape_of(shape)[2]]), f"{node.name}_own")
            model.graph.initializer.append(own)
            node.input[1] = own.name
            node.attribute.append(helper.make_attribute("allowzero", 1))  # as torch's dynamo exporter writes it
    return model


def shape_of(tensor: TensorProto) -> list[int]:
    return [int(size) for size in numpy_helper.to_array(tensor)]


def as_exported_for_320(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a detector with half the numbers that its exporter wrote for 640."""
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = 320
    sizes = {node.input[3] for node in model.graph.node if node.op_type == "Resize"}
    for tensor in model.graph.initializer:
        if tensor.name in sizes:
            halves = numpy_helper.to_array(tensor) // [1, 1, 2, 2]
            tensor.CopyFrom(numpy_helper.from_array(halves, tensor.name))
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[1].dim_value //= 4
    del model.graph.value_info[:]
    return model


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """What the detector gives that was exported for 320."""
    small = replace(MODEL, inputs={"input.1": (1, 3, 320, 320)}, sides=())
    return run_model(edit(as_exported_for_320(loaded("det_10g")), small), frame=FRAMES)["anchors"]


@pytest.mark.parametrize("form", [lambda model: model, as_insightface, as_written_out])
def test_a_detector_gives_at_320_what_an_export_for_320_gives(
    form: Callable[[onnx.ModelProto], onnx.ModelProto], expected: np.ndarray
) -> None:
    prepared = edit(form(loaded("det_10g")), MODEL)
    assert shapes_of(prepared.graph.input) == {"frame": ["N", "H", "W", 3]}
    assert shapes_of(prepared.graph.output) == {"anchors": ["N", "R", 15]}
    np.testing.assert_allclose(run_model(prepared, frame=FRAMES)["anchors"], expected, rtol=1e-5, atol=1e-5)


def test_a_detector_without_further_sides_is_left_alone() -> None:
    model = loaded("det_10g")
    assert with_sides(model, (), "anchors") is model
    contract = contract_of(edit(model, replace(MODEL, sides=())), replace(MODEL, sides=()))
    assert "sizes" not in contract


def test_the_contract_names_the_shapes_of_a_row_at_each_size() -> None:
    sizes = [{"frame": [640, 640, 3], "anchors": [16800, 15]}, {"frame": [320, 320, 3], "anchors": [4200, 15]}]
    assert contract_of(edit(loaded("det_10g"), MODEL), MODEL)["sizes"] == sizes


def test_what_fits_one_size_alone_is_refused_with_what_to_do() -> None:
    model = loaded("det_10g")
    (head,) = (node for node in model.graph.node if "bbox_8" in node.output)
    head.output[0] = "boxes"
    model.graph.node.append(helper.make_node("Mul", ["boxes", "each"], ["bbox_8"]))
    model.graph.initializer.append(numpy_helper.from_array(floats(1, 12800, 4), "each"))
    with pytest.raises(
        ModelError, match=r"expected shapes and types that fit, seen \[2, 3200, 4\], \[1, 12800, 4\]: "
    ) as e:
        edit(model, MODEL)
    advice = "; leave `sides` out of params.yaml, or export the model with an open height and width"
    assert str(e.value).endswith(advice)
    assert len(str(e.value).splitlines()) == 1


def test_an_output_that_has_not_the_rows_of_a_size_is_refused() -> None:
    model = loaded("det_10g")
    (head,) = (node for node in model.graph.node if "kps_32" in node.output)
    head.output[0] = "points"
    model.graph.node.append(helper.make_node("Slice", ["points", "begin", "end", "axis"], ["some"]))
    model.graph.node.append(helper.make_node("Pad", ["some", "pads"], ["kps_32"]))
    for name, numbers in (("begin", [0]), ("end", [100]), ("axis", [1]), ("pads", [0, 0, 0, 0, 700, 0])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(numbers), name))
    expected = r"output kps_32: expected \[2, 200, 10\] of 2 images of 320 pixels, seen \[2, 800, 10\]; leave `sides`"
    with pytest.raises(ModelError, match=expected):
        edit(model, MODEL)
