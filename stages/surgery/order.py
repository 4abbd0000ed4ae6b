"""Sort a graph's nodes: converters to half precision append their casts at the end, which runtimes accept."""

import heapq
from graphlib import CycleError, TopologicalSorter

import onnx

from stages.surgery.nodes import replace_all
from stages.surgery.tensors import captured_names


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Move each node behind those that make its inputs, and else keep the order; modifies the graph.

    A graph with a cycle stays as it is.
    """
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    before = {
        index: {makers[name] for name in {*node.input, *captured_names(node)} if name in makers}
        for index, node in enumerate(graph.node)
    }
    if all(index > maker for index, others in before.items() for maker in others):
        return
    sorter = TopologicalSorter(before)
    try:
        sorter.prepare()
    except CycleError:
        return
    nodes: list[onnx.NodeProto] = []
    ready: list[int] = []
    while sorter.is_active():
        for index in sorter.get_ready():
            heapq.heappush(ready, index)
        first = heapq.heappop(ready)
        nodes.append(graph.node[first])
        sorter.done(first)
    replace_all(graph.node, nodes)
