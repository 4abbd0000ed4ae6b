"""Small ONNX files, with weights inside or beside, and the refusal to read one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.surgery.read import read_model
from tests.stages import Array

WEIGHT = np.random.default_rng(51).standard_normal((40, 40)).astype(np.float32)
Alteration = Callable[[onnx.ModelProto], object]


def node(operator: str, inputs: str, output: str, name: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], name, **attributes)


def small(*nodes: onnx.NodeProto, weights: dict[str, Array] | None = None) -> onnx.ModelProto:
    """Return a model from ``x`` (1, 40) to ``y``, not checked."""
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {"w": WEIGHT}).items()]
    graph = helper.make_graph(
        nodes or [node("MatMul", "x w", "y", "product")],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 40])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 40])],
        tensors,
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def put(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "small.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def put_external(folder: Path, location: str = "weights.bin", entries: Mapping[str, object] | None = None) -> Path:
    """Write a model whose weight is in a file beside it, 8 bytes from its start."""
    model = small()
    tensor = model.graph.initializer[0]
    (folder / "weights.bin").write_bytes(b"-" * 8 + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in ({"location": location, "offset": 8, "length": WEIGHT.nbytes, **(entries or {})}).items():
        tensor.external_data.add(key=key, value=str(value))
    return put(model, folder)


def refusal(path: Path) -> str:
    """Read a model that must be refused, in one line that begins with its path; return the rest."""
    with pytest.raises(ModelError) as caught:
        read_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 700
    return message.removeprefix(f"{path}: ")
