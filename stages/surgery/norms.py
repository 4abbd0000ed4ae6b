"""Find the nodes that must not be computed in half precision: normalisation of features and of pixels.

In half precision the squares of numbers from 256 on overflow, and a small variance loses its digits.
"""

import numpy as np
import onnx
from onnx import TensorProto

from stages.surgery.links import Links, links_of, reached

OPERATORS = [  # normalisations, and sums that they are made of
    *("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "LpNormalization"),
    *("MeanVarianceNormalization", "RMSNormalization", "LogSoftmax", "Softmax"),
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceSum", "ReduceSumSquare"),
]
_SUMS = {"AveragePool", "GlobalAveragePool", "ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare"}
_FROM_ROOT = {"Add", "Clip", "Div", "Identity", "Max", "Mul", "Reciprocal"}
_TO_ROOT = _SUMS | _FROM_ROOT | {"Abs", "Cast", "Expand", "Relu", "Reshape", "Squeeze", "Sub", "Unsqueeze"}
_TO_PIXELS = {"Add", "Cast", "Div", "Gather", "Mul", "Sub", "Transpose"}


def normalisations(graph: onnx.GraphProto) -> set[int]:
    """Return the indices of nodes that form decomposed normalisations, and of those that normalise the pixels."""
    links = links_of(graph)
    found: set[int] = set()
    for i, node in enumerate(links.nodes):
        if node.op_type == "Sqrt" or (node.op_type == "Pow" and abs(_exponent(links, node)) == 0.5):
            found |= _around(links, i)

    def is_of_pixels(i: int) -> bool:
        others = [name for name in links.nodes[i].input if name not in links.constants]
        return links.nodes[i].op_type in _TO_PIXELS and len(others) == 1

    pixels = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8}
    first = filter(is_of_pixels, (reader for name in pixels for reader in links.readers[name]))
    return found | reached(first, lambda i: filter(is_of_pixels, links.readers_of(i)))


def _around(links: Links, root: int) -> set[int]:
    """Return the nodes of the normalisation around a square root; none if the root belongs to no normalisation."""

    def makers(i: int) -> list[int]:
        nodes = [] if _is_square(links, links.nodes[i]) else links.makers_of(i)
        return [j for j in nodes if links.nodes[j].op_type in _TO_ROOT or _is_square(links, links.nodes[j])]

    def quotients(i: int) -> list[int]:
        is_last = i != root and links.nodes[i].op_type in ("Div", "Mul")
        return [] if is_last else [j for j in links.readers_of(i) if links.nodes[j].op_type in _FROM_ROOT]

    found = reached([root], makers)
    squares = {i for i in found if _is_square(links, links.nodes[i])}
    if not squares or not any(links.nodes[i].op_type in _SUMS for i in found):
        return set()
    return found | _distances(links, squares) | reached([root], quotients)


def _distances(links: Links, squares: set[int]) -> set[int]:
    """Return the nodes that compute the distance from a mean, before it is squared."""
    found = {i for square in squares for i in links.makers_of(square) if links.nodes[i].op_type in {"Sub", *_SUMS}}
    return found | {i for distance in found for i in links.makers_of(distance) if links.nodes[i].op_type in _SUMS}


def _is_square(links: Links, node: onnx.NodeProto) -> bool:
    is_product = node.op_type == "Mul" and node.input[0] == node.input[1]
    return is_product or node.op_type == "ReduceSumSquare" or (node.op_type == "Pow" and _exponent(links, node) == 2)


def _exponent(links: Links, node: onnx.NodeProto) -> float:
    return links.constants.get(node.input[1], np.nan)
