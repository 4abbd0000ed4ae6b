"""Follow a graph's values from the nodes that make them to those that read them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from stages.surgery.nodes import attributes_of

_NUMBERS = (TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64)  # types of an exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
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


def links_of(graph: onnx.GraphProto) -> Links:
    """Return the links of a graph."""
    nodes = list(graph.node)
    readers: dict[str, list[int]] = defaultdict(list)
    for i, node in enumerate(nodes):
        for name in set(node.input):
            readers[name].append(i)
    constants = {tensor.name: _number(tensor) for tensor in graph.initializer}
    for node in nodes:
        if node.op_type == "Constant":
            constants[node.output[0]] = _number(attributes_of(node).get("value", TensorProto()))
    makers = {name: i for i, node in enumerate(nodes) for name in node.output}
    return Links(nodes=nodes, makers=makers, readers=readers, constants=constants)


def reached(starts: Iterable[int], following: Callable[[int], Iterable[int]]) -> set[int]:
    """Return some nodes, those that follow each, and so on."""
    found, pending = set[int](), list(starts)
    while pending:
        if (i := pending.pop()) not in found:
            found.add(i)
            pending += following(i)
    return found


def _number(tensor: TensorProto) -> float:
    is_scalar = all(dim == 1 for dim in tensor.dims) and tensor.data_type in _NUMBERS
    return float(numpy_helper.to_array(tensor).item()) if is_scalar else np.nan
