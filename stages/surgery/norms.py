"""Find the nodes that must not be computed in half precision: normalisation of features and of pixels.

In half precision the squares of numbers from 256 on overflow, and a small variance loses its digits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from stages.surgery.nodes import attributes_of

OPERATORS = [  # normalisations, and sums that they are made of
    *("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "LpNormalization"),
    *("MeanVarianceNormalization", "RMSNormalization", "LogSoftmax", "Softmax"),
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceSum", "ReduceSumSquare"),
]
_SUMS = {"AveragePool", "GlobalAveragePool", "ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare"}
_FROM_ROOT = {"Add", "Clip", "Div", "Identity", "Max", "Mul", "Reciprocal"}
_TO_ROOT = _SUMS | _FROM_ROOT | {"Abs", "Cast", "Expand", "Relu", "Reshape", "Squeeze", "Sub", "Unsqueeze"}
_NUMBERS = (TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64)  # types of an exponent
_TO_PIXELS = {"Add", "Cast", "Div", "Gather", "Mul", "Sub", "Transpose"}


@dataclass(frozen=True, slots=True)
class _Index:
    """A graph's nodes, indexed by the values that they make and read, and its scalars."""

    nodes: list[onnx.NodeProto]
    makers: dict[str, int]
    readers: dict[str, list[int]]
    constants: dict[str, float]  # the number of a scalar; NaN for other constants

    def makers_of(self, node: int) -> list[int]:
        """Return the nodes that make a node's inputs."""
        return [self.makers[name] for name in self.nodes[node].input if name in self.makers]

    def readers_of(self, node: int) -> list[int]:
        """Return the nodes that read a node's outputs."""
        return [reader for name in self.nodes[node].output for reader in self.readers[name]]


def normalisations(graph: onnx.GraphProto) -> set[int]:
    """Return the indices of nodes that form decomposed normalisations, and of those that normalise the pixels."""
    index = _index_of(graph)
    found: set[int] = set()
    for i, node in enumerate(index.nodes):
        if node.op_type == "Sqrt" or (node.op_type == "Pow" and abs(_exponent(index, node)) == 0.5):
            found |= _around(index, i)

    def is_of_pixels(i: int) -> bool:
        others = [name for name in index.nodes[i].input if name not in index.constants]
        return index.nodes[i].op_type in _TO_PIXELS and len(others) == 1

    pixels = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8}
    first = filter(is_of_pixels, (reader for name in pixels for reader in index.readers[name]))
    return found | _reached(first, lambda i: filter(is_of_pixels, index.readers_of(i)))


def _reached(starts: Iterable[int], following: Callable[[int], Iterable[int]]) -> set[int]:
    """Return some nodes, those that follow each, and so on."""
    found, pending = set[int](), list(starts)
    while pending:
        if (i := pending.pop()) not in found:
            found.add(i)
            pending += following(i)
    return found


def _around(index: _Index, root: int) -> set[int]:
    """Return the nodes of the normalisation around a square root; none if the root belongs to no normalisation."""

    def makers(i: int) -> list[int]:
        nodes = [] if _is_square(index, index.nodes[i]) else index.makers_of(i)
        return [j for j in nodes if index.nodes[j].op_type in _TO_ROOT or _is_square(index, index.nodes[j])]

    def quotients(i: int) -> list[int]:
        is_last = i != root and index.nodes[i].op_type in ("Div", "Mul")
        return [] if is_last else [j for j in index.readers_of(i) if index.nodes[j].op_type in _FROM_ROOT]

    found = _reached([root], makers)
    squares = {i for i in found if _is_square(index, index.nodes[i])}
    if not squares or not any(index.nodes[i].op_type in _SUMS for i in found):
        return set()
    return found | _distances(index, squares) | _reached([root], quotients)


def _distances(index: _Index, squares: set[int]) -> set[int]:
    """Return the nodes that compute the distance from a mean, before it is squared."""
    found = {i for square in squares for i in index.makers_of(square) if index.nodes[i].op_type in {"Sub", *_SUMS}}
    return found | {i for distance in found for i in index.makers_of(distance) if index.nodes[i].op_type in _SUMS}


def _is_square(index: _Index, node: onnx.NodeProto) -> bool:
    is_product = node.op_type == "Mul" and node.input[0] == node.input[1]
    return is_product or node.op_type == "ReduceSumSquare" or (node.op_type == "Pow" and _exponent(index, node) == 2)


def _exponent(index: _Index, node: onnx.NodeProto) -> float:
    return index.constants.get(node.input[1], np.nan)


def _index_of(graph: onnx.GraphProto) -> _Index:
    nodes = list(graph.node)
    readers: dict[str, list[int]] = defaultdict(list)
    for i, node in enumerate(nodes):
        for name in set(node.input):
            readers[name].append(i)
    constants = {tensor.name: _number(tensor) for tensor in graph.initializer}
    for node in nodes:
        if node.op_type == "Constant":
            constants[node.output[0]] = _number(attributes_of(node).get("value", TensorProto()))
    return _Index(nodes, {name: i for i, node in enumerate(nodes) for name in node.output}, readers, constants)


def _number(tensor: TensorProto) -> float:
    is_scalar = all(dim == 1 for dim in tensor.dims) and tensor.data_type in _NUMBERS
    return float(numpy_helper.to_array(tensor).item()) if is_scalar else np.nan
