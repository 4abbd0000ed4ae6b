"""Find what must not be calculated in half precision: normalisation, of features and of pixels.

Squares overflow half precision from 256 on, and a small variance loses its digits.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

OPERATORS = [  # that normalise, or sum for it
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
class _Web:
    """A graph's nodes by the values they make and read, and its scalars."""

    nodes: list[onnx.NodeProto]
    makers: dict[str, int]
    readers: dict[str, list[int]]
    constants: dict[str, float]  # a scalar's number; of others, not a number

    def made(self, node: int) -> list[int]:
        """Return the nodes that make a node's inputs."""
        return [self.makers[name] for name in self.nodes[node].input if name in self.makers]

    def read(self, node: int) -> list[int]:
        """Return the nodes that read a node's outputs."""
        return [reader for name in self.nodes[node].output for reader in self.readers[name]]


def normalisations(graph: onnx.GraphProto) -> set[int]:
    """Return the indices of the nodes that make up decomposed normalisations, and of those in front, of pixels."""
    web = _web_of(graph)
    found: set[int] = set()
    for i, node in enumerate(web.nodes):
        if node.op_type == "Sqrt" or (node.op_type == "Pow" and abs(_exponent(web, node)) == 0.5):
            found |= _around(web, i)
    pixels = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8}
    pending = [reader for name in pixels for reader in web.readers[name]]
    while pending:
        i = pending.pop()
        node = web.nodes[i]
        others = [name for name in node.input if name not in web.constants]
        if node.op_type in _TO_PIXELS and len(others) == 1:
            found.add(i)
            pending += web.read(i)
    return found


def _around(web: _Web, root: int) -> set[int]:
    """Return the normalisation whose square root a node takes; nothing where it is no normalisation's."""
    found, pending = {root}, web.made(root)
    squares: set[int] = set()
    while pending:
        i = pending.pop()
        if i in found:
            continue
        if _is_square(web, web.nodes[i]):
            squares.add(i)
        elif web.nodes[i].op_type in _TO_ROOT:
            pending += web.made(i)
        else:
            continue
        found.add(i)
    if not squares or not any(web.nodes[i].op_type in _SUMS for i in found):
        return set()
    return found | _distances(web, squares) | _quotients(web, root)


def _distances(web: _Web, squares: set[int]) -> set[int]:
    """Return what gives the distance from a mean, which is squared."""
    found = {i for square in squares for i in web.made(square) if web.nodes[i].op_type in {"Sub", *_SUMS}}
    return found | {i for distance in found for i in web.made(distance) if web.nodes[i].op_type in _SUMS}


def _quotients(web: _Web, root: int) -> set[int]:
    """Return what divides by a root, or multiplies by its reciprocal."""
    found: set[int] = set()
    pending = web.read(root)
    while pending:
        i = pending.pop()
        if web.nodes[i].op_type in _FROM_ROOT and i not in found:
            found.add(i)
            pending += web.read(i) if web.nodes[i].op_type not in ("Div", "Mul") else []
    return found


def _is_square(web: _Web, node: onnx.NodeProto) -> bool:
    is_product = node.op_type == "Mul" and node.input[0] == node.input[1]
    return is_product or node.op_type == "ReduceSumSquare" or (node.op_type == "Pow" and _exponent(web, node) == 2)


def _exponent(web: _Web, node: onnx.NodeProto) -> float:
    return web.constants.get(node.input[1], np.nan)


def _web_of(graph: onnx.GraphProto) -> _Web:
    nodes = list(graph.node)
    readers: dict[str, list[int]] = defaultdict(list)
    for i, node in enumerate(nodes):
        for name in set(node.input):
            readers[name].append(i)
    constants = {tensor.name: _number(tensor) for tensor in graph.initializer}
    for node in nodes:
        if node.op_type == "Constant":
            constants[node.output[0]] = next((_number(a.t) for a in node.attribute if a.HasField("t")), np.nan)
    return _Web(nodes, {name: i for i, node in enumerate(nodes) for name in node.output}, readers, constants)


def _number(tensor: TensorProto) -> float:
    is_scalar = all(dim == 1 for dim in tensor.dims) and tensor.data_type in _NUMBERS
    return float(numpy_helper.to_array(tensor).item()) if is_scalar else np.nan
