"""Write a network of random weights as torch's ONNX exporter would.

Conventions: values are names, NCHW. Weights are uniform, with He's variance times `gain` squared, so that activations
keep their scale; the model's name is the seed. Numbers other than weights are Constant nodes.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from stages.kit.graph import IR_VERSION, Array, Graph

EPSILON = np.array(1e-5)


class Export(Graph):
    """A graph with the exporter's habits and the layers that the networks share."""

    def __init__(self, name: str, *, opset: int = 17, half: bool = False) -> None:
        super().__init__(name)
        self._opset = opset
        self._floats = np.float16 if half else np.float32
        self._random = np.random.default_rng(zlib.crc32(name.encode()))

    def _operand(self, value: str | Array) -> str:
        if isinstance(value, str):
            return value
        array = value.astype(self._floats) if value.dtype == np.float64 else value
        return self.add("Constant", value=numpy_helper.from_array(array)) if array.ndim < 2 else self.constant(array)

    def split(self, value: str, sizes: Sequence[int]) -> list[str]:
        """Append a Split of the channels."""
        names = [f"{value}_part{i}" for i in range(len(sizes))]
        self._graph.node.append(
            helper.make_node("Split", [value, self._operand(np.array(sizes))], names, names[0], axis=1)
        )
        return names

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Declare a float32 output and give `value` its name."""
        for node in self._graph.node:
            node.input[:] = [name if item == value else item for item in node.input]
            node.output[:] = [name if item == value else item for item in node.output]
        self._graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def model(self) -> onnx.ModelProto:
        """Return the model, unchecked."""
        opsets = [helper.make_opsetid("", self._opset)]
        return helper.make_model(self._graph, ir_version=IR_VERSION, opset_imports=opsets, producer_name="pytorch")

    def weights(self, *shape: int, gain: float = 1.0) -> str:
        """Add weights ``(out, in, ...)``."""
        array = self._random.random(shape, np.float32)
        array -= np.float32(0.5)
        array *= np.float32(gain * (24 / np.prod(shape[1:])) ** 0.5)
        return self.constant(array.astype(self._floats, copy=False))

    def vector(self, *shape: int, mean: float = 0.0) -> str:
        """Add weights of a tenth about a mean: biases, scales, slopes."""
        array = self._random.standard_normal(shape) * 0.1 * (mean or 0.1) + mean
        return self.constant(array.astype(self._floats))

    def conv(
        self, value: str, source: int, target: int, side: int = 3, *, stride: int = 1, pad: int = -1, gain: float = 1.0
    ) -> str:
        """Append a convolution with bias; by default the padding keeps the size."""
        pads = [side // 2 if pad < 0 else pad] * 4
        weights = self.weights(target, source, side, side, gain=gain)
        how = {"dilations": [1, 1], "group": 1, "kernel_shape": [side] * 2, "pads": pads, "strides": [stride] * 2}
        return self.add("Conv", value, weights, self.vector(target), **how)

    def gemm(self, value: str, source: int, target: int) -> str:
        """Append a fully connected layer."""
        return self.add("Gemm", value, self.weights(target, source), self.vector(target), alpha=1.0, beta=1.0, transB=1)

    def batch_norm(self, value: str, channels: int) -> str:
        """Append a batch normalisation."""
        moments = [self.vector(channels), self.vector(channels, mean=1.0)]
        weights = [self.vector(channels, mean=1.0), self.vector(channels)]
        return self.add("BatchNormalization", value, *weights, *moments, epsilon=1e-5, momentum=0.9)

    def relu_conv(self, value: str, source: int, target: int, side: int = 3, **how: Any) -> str:
        """Append a convolution, with a folded normalisation, and its ReLU."""
        return self.add("Relu", self.conv(value, source, target, side, **how))

    def pool(self, value: str, side: int, *, stride: int = 2, pad: int = 0, kind: str = "Max") -> str:
        """Append a pooling."""
        return self.add(f"{kind}Pool", value, kernel_shape=[side] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def reshape(self, value: str, *sizes: int) -> str:
        """Append a Reshape to sizes that the exporter recorded."""
        return self.add("Reshape", value, np.array(sizes))

    def unsqueeze(self, value: str, axis: int) -> str:
        """Append an Unsqueeze, whose axes were an attribute before opset 13."""
        if self._opset < 13:
            return self.add("Unsqueeze", value, axes=[axis])
        return self.add("Unsqueeze", value, np.array([axis]))

    def enlarge(self, value: str, scale: int, *, mode: str = "nearest") -> str:
        """Append a Resize by a factor."""
        scales = np.array([1, 1, scale, scale], np.float32)
        return self.add("Resize", value, self._no_region(), scales, **_resize(mode, "asymmetric"))

    def resize_like(self, value: str, like: str, *, mode: str = "nearest", how: str = "asymmetric") -> str:
        """Append a Resize to another value's size, with the chain of Shape, Gather and Slice that finds it."""
        shape = self.add("Shape", like)
        sizes = [self.unsqueeze(self.add("Gather", shape, np.array(axis), axis=0), 0) for axis in (2, 3)]
        kept = self.add("Slice", self.add("Shape", value), np.array([0]), np.array([2]), np.array([0]))
        wanted = self.add("Concat", kept, self.add("Concat", *sizes, axis=0), axis=0)
        return self.add("Resize", value, *[self._no_region()] * 2, wanted, **_resize(mode, how))

    def _no_region(self) -> str | Array:
        """Return the empty operand of a Resize, which differs by opset."""
        return np.empty(0, np.float32) if self._opset < 13 else ""


def _resize(mode: str, how: str) -> dict[str, Any]:
    nearest = {"nearest_mode": "floor"} if mode == "nearest" else {}
    return {"mode": mode, "coordinate_transformation_mode": how, "cubic_coeff_a": -0.75, **nearest}
