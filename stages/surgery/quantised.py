"""Find the nodes that work with quantised numbers: scales are in single precision, and with them what they scale."""

import onnx

from stages.surgery.links import links_of

_QUANTISED = {
    *("ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"),
    "QuantizeLinear",
}


def quantised(graph: onnx.GraphProto) -> set[int]:
    """Return the indices of nodes that read, make or are calculated with quantised numbers.

    A node between a DequantizeLinear and a QuantizeLinear is calculated in 8 bits if no cast is there.
    """
    links = links_of(graph)
    own = {i for i, node in enumerate(links.nodes) if node.op_type in _QUANTISED}
    return own.union(*(links.readers_of(i) for i in own))
