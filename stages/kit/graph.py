"""Write a small ONNX model in code, the same bytes on every machine and every run.

Convention: constants that come out of linear algebra or transcendental functions pass through `settle`, which
rounds them to a grid far coarser than what two machines' mathematics libraries differ by.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]

IR_VERSION = 8  # with opset 17, what every runtime of the last years reads
OPSET = 17
_GRID = 2.0**-16


def settle(values: npt.ArrayLike) -> Floats:
    """Round to multiples of 2**-16, so that the last digits of one machine's library don't show, nor a zero's sign."""
    return np.round(np.asarray(values, np.float64) / _GRID) * _GRID + 0.0


class Graph:
    """A graph under construction: values are names, constants are NumPy arrays.

    Float64 arrays are stored as float32, or as float16 and cast where `half` says so. Nodes are named by number,
    never by operator: InsightFace guesses a model's normalisation from nodes called ``Sub`` and ``Mul``.
    """

    def __init__(self, name: str, *, half: bool = False) -> None:
        self._name = name
        self._half = half
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._initializers: list[onnx.TensorProto] = []

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """Declare a float32 input; a string in the shape is a dynamic axis."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def constant(self, array: Array, name: str = "") -> str:
        """Add an initializer as it is and return its name."""
        name = name or f"{self._name}_c{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(array, name))
        return name

    def _operand(self, value: str | Array) -> str:
        if isinstance(value, str):
            return value
        if value.dtype != np.float64:
            return self.constant(np.asarray(value))
        if self._half:
            return self.add("Cast", self.constant(value.astype(np.float16)), to=TensorProto.FLOAT)
        return self.constant(value.astype(np.float32))

    def add(self, operator: str, *operands: str | Array, **attributes: Any) -> str:
        """Append a node with one output and return the output's name; arrays become initializers."""
        inputs = [self._operand(value) for value in operands]
        name = f"{self._name}_n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Declare a float32 output that carries `value`."""
        self._nodes.append(helper.make_node("Identity", [value], [name], f"{self._name}_n{len(self._nodes)}"))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def model(self) -> onnx.ModelProto:
        """Return the checked model.

        Raises:
            onnx.checker.ValidationError: The graph is not valid ONNX.
        """
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._initializers)
        model = helper.make_model(
            graph,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="morphstream-models kit",
            doc_string="A stand-in built by code, not a trained network.",
        )
        onnx.checker.check_model(model, full_check=True)
        return model
