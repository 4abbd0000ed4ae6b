"""Write a small ONNX model in code, the same bytes on every machine and every run.

Convention: `settle` rounds every constant that linear algebra or a transcendental function computed. Its grid is far
coarser than the difference between two machines' mathematics libraries.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]

IR_VERSION = 8  # every runtime of the last years reads this and opset 17
OPSET = 17
_GRID = 2.0**-16


def settle(values: npt.ArrayLike) -> Floats:
    """Round to multiples of 2**-16, which drops the digits that depend on the machine, and the sign of a zero."""
    return np.round(np.asarray(values, np.float64) / _GRID) * _GRID + 0.0


class Graph:
    """A graph under construction: values are names, constants are NumPy arrays or floats.

    Float64 arrays are stored as float32; with `half`, as float16 that the graph casts to float32. Nodes are named by
    number, never by operator: InsightFace guesses a model's normalisation from nodes called ``Sub`` and ``Mul``.
    """

    def __init__(self, name: str, *, half: bool = False) -> None:
        self._graph, self._half = onnx.GraphProto(name=name), half

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """Declare a float32 input; a string in the shape is a dynamic axis."""
        self._graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def constant(self, array: Array, name: str = "") -> str:
        """Add an initializer without converting it and return its name."""
        name = name or f"{self._graph.name}_c{len(self._graph.initializer)}"
        self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def _operand(self, value: str | Array) -> str:
        if isinstance(value, str):
            return value
        if value.dtype != np.float64:
            return self.constant(np.asarray(value))
        if self._half:
            return self.add("Cast", self.constant(value.astype(np.float16)), to=TensorProto.FLOAT)
        return self.constant(value.astype(np.float32))

    def add(self, operator: str, *operands: str | Array | float, **attributes: Any) -> str:
        """Append a node with one output and return the output's name.

        Arrays become initializers; a float becomes one of shape (1,).
        """
        inputs = [self._operand(np.array([value]) if isinstance(value, float) else value) for value in operands]
        name = f"{self._graph.name}_n{len(self._graph.node)}"
        self._graph.node.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def clip(self, value: str, high: float = 1.0) -> str:
        """Append a clip to 0..`high`."""
        return self.add("Clip", value, np.array(0.0), np.array(high))

    def channels(self, value: str, start: int, stop: int) -> str:
        """Append the channels, axis 1, from `start` to before `stop`."""
        return self.add("Slice", value, np.array([start]), np.array([stop]), np.array([1]))

    def shrink(self, value: str, side: int) -> str:
        """Append the mean of every square of `side` pixels."""
        return self.add("AveragePool", value, kernel_shape=[side, side], strides=[side, side])

    def blur(self, value: str, side: int, *, counts_border: bool) -> str:
        """Append the mean of the neighbourhood of every pixel of an ``(N, C, H, W)`` image, `side` pixels square, odd.

        Zeros beyond the edge count too, or else only the pixels inside the image.
        """
        square, pads = [side, side], [side // 2] * 4
        return self.add("AveragePool", value, kernel_shape=square, pads=pads, count_include_pad=int(counts_border))

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Declare a float32 output that carries `value`."""
        self._graph.node.append(
            helper.make_node("Identity", [value], [name], f"{self._graph.name}_n{len(self._graph.node)}")
        )
        self._graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def model(self) -> onnx.ModelProto:
        """Return the checked model."""
        model = helper.make_model(
            self._graph,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="morphstream-models kit",
            doc_string="A stand-in built by code, not a trained network.",
        )
        onnx.checker.check_model(model, full_check=True)
        return model
