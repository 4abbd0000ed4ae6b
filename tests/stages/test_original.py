"""An original is run as the file that it is, and as it was read where that can't be run or would be trained."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from stages.parity.original import Original, run_file
from tests.stages import PARAMS, loaded

MODEL = PARAMS.model("fan_68_5")
INPUTS = {"input": np.random.default_rng(3).uniform(0.2, 0.8, (2, 5, 2)).astype(np.float32)}


def run(model: onnx.ModelProto, folder: Path) -> Original:
    path = folder / "original.onnx"
    path.write_bytes(model.SerializeToString())
    found = run_file(MODEL, path, INPUTS)
    assert [path.name for path in folder.iterdir()] == ["original.onnx"]
    return found


def trained() -> onnx.ModelProto:
    """Return the model with a Dropout in training mode before its output."""
    model = loaded(MODEL.name)
    last = model.graph.node[-1]
    ratio, mode = (numpy_helper.from_array(np.array(x), n) for x, n in ((np.float32(0.5), "ratio"), (True, "mode")))
    model.graph.initializer.extend([ratio, mode])
    output, last.output[0] = last.output[0], "before"
    model.graph.node.append(helper.make_node("Dropout", ["before", "ratio", "mode"], [output]))
    return model


def newer() -> onnx.ModelProto:
    """Return the model in an IR version that ONNX Runtime refuses."""
    model = loaded(MODEL.name)
    model.ir_version = onnx.IR_VERSION
    return model


@pytest.mark.parametrize("model", [trained(), newer()], ids=["in training mode", "of a newer version"])
def test_what_cannot_be_run_or_would_be_trained_is_run_as_it_was_read(model: onnx.ModelProto, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    expected = run(loaded(MODEL.name), tmp_path / "a").outputs["points68"]
    np.testing.assert_array_equal(run(model, tmp_path / "b").outputs["points68"], expected)


@pytest.mark.parametrize("is_constant", [False, True], ids=["initializer", "Constant node"])
def test_an_original_with_numbers_in_half_precision_is_one_that_rounds(tmp_path: Path, *, is_constant: bool) -> None:
    model = loaded(MODEL.name)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert not run(model, tmp_path / "a").is_half
    tensor = numpy_helper.from_array(np.ones(3, np.float16), "half")
    if is_constant:
        model.graph.node.insert(0, helper.make_node("Constant", [], ["half"], value=tensor))
    else:
        model.graph.initializer.append(tensor)
    assert run(model, tmp_path / "b").is_half


def test_an_original_whose_input_alone_is_half_is_one_that_rounds(tmp_path: Path) -> None:
    model = loaded(MODEL.name)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for node in model.graph.node:
        node.input[:] = ["single" if name == "input" else name for name in node.input]
    model.graph.node.insert(0, helper.make_node("Cast", ["input"], ["single"], to=onnx.TensorProto.FLOAT))
    found = run(model, tmp_path)
    assert (found.is_half, found.is_quantised) == (True, False)


def test_an_original_with_quantised_weights_is_known(tmp_path: Path) -> None:
    model = loaded(MODEL.name)
    weights = [numpy_helper.from_array(np.array(x), n) for x, n in ((np.int8(0), "q"), (np.float32(0.1), "scale"))]
    model.graph.initializer.extend(weights)
    last = model.graph.node[-1]
    output, last.output[0] = last.output[0], "before"
    model.graph.node.append(helper.make_node("DequantizeLinear", ["q", "scale"], ["zero"]))
    model.graph.node.append(helper.make_node("Add", ["before", "zero"], [output]))
    assert run(model, tmp_path).is_quantised


@pytest.mark.parametrize("operator", ["ReduceSum", "NonZero", "SequenceConstruct"])
def test_outputs_that_the_role_does_not_need_may_be_anything(tmp_path: Path, operator: str) -> None:
    model = loaded(MODEL.name)
    output = model.graph.output[0].name
    node = helper.make_node(operator, [output], ["other"])
    if operator == "ReduceSum":  # to a scalar
        node.attribute.append(helper.make_attribute("keepdims", 0))
    model.graph.node.append(node)
    model.graph.output.add(name="other")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    expected = run(loaded(MODEL.name), tmp_path / "a").outputs
    np.testing.assert_array_equal(run(model, tmp_path / "b").outputs["points68"], expected["points68"])
