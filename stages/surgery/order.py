"""Put a graph's nodes in order: converters to half precision append their casts, which runtimes take."""

import heapq

import onnx

from stages.surgery.outputs import captured


def put_in_order(graph: onnx.GraphProto) -> None:
    """Let each node stand after those that make its inputs, else where it stood; modifies the graph.

    Nodes in a cycle stay last, in their order.
    """
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    before: list[set[int]] = []
    for node in graph.node:
        read = {*node.input, *(name for attribute in node.attribute for name in captured(attribute))}
        before.append({makers[name] for name in read if name in makers})
    if all(index > maker for index, others in enumerate(before) for maker in others):
        return
    after: list[list[int]] = [[] for _ in before]
    for index, others in enumerate(before):
        for maker in others:
            after[maker].append(index)
    missing = [len(others) for others in before]
    ready = [index for index, count in enumerate(missing) if not count]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for index in after[order[-1]]:
            missing[index] -= 1
            if not missing[index]:
                heapq.heappush(ready, index)
    order += sorted(set(range(len(before))) - set(order))
    nodes = [graph.node[index] for index in order]
    copies = [onnx.NodeProto() for _ in nodes]
    for copy, node in zip(copies, nodes, strict=True):
        copy.CopyFrom(node)
    del graph.node[:]
    graph.node.extend(copies)
