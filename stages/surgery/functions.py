"""Replace calls of a model's own functions, which some exporters write, by the functions' nodes."""

from collections import Counter
from graphlib import CycleError, TopologicalSorter

import onnx
import onnx.inliner

from morphstream.artifact.errors import ModelError
from stages.surgery.label import error_line, one_line
from stages.surgery.tensors import graphs_in, graphs_of

_NODES = 100_000  # ten times more than any real model
_DEPTH = 100  # of calls within calls

_Name = tuple[str, str, str]  # domain, name, overload


def inline_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without functions of its own."""
    if not model.functions:
        return model
    _check_calls(model)
    try:
        return onnx.inliner.inline_local_functions(model, convert_version=True)
    except (RuntimeError, ValueError) as error:
        name, seen = one_line(model.functions[0].name), error_line(error)
        raise ModelError(
            f"function {name}: expected one that can be inlined, seen {seen}; export the model without functions"
        ) from None


def _check_calls(model: onnx.ModelProto) -> None:
    """Refuse functions that call each other without end, or whose nodes would be more than any model's."""
    bodies = {(one.domain, one.name, one.overload): list(one.node) for one in model.functions}
    calls = {name: _calls(nodes) for name, nodes in bodies.items()}
    sizes, depths = dict[_Name, int](), dict[_Name, int]()
    try:
        order = list(TopologicalSorter({name: calls[name].keys() & calls.keys() for name in calls}).static_order())
    except CycleError as error:
        name = error.args[1][0][1]
        raise ModelError(
            f"function {one_line(name)}: expected one that ends, seen one that calls itself; export the model inlined"
        ) from None
    for name in order:
        sizes[name] = sum(count * sizes.get(called, 1) for called, count in calls[name].items())
        depths[name] = 1 + max((depths.get(called, 0) for called in calls[name]), default=0)
    total = sum(count * sizes.get(called, 1) for called, count in _calls(list(model.graph.node)).items())
    if total > _NODES or max(depths.values()) > _DEPTH:
        seen = f"{total} nodes in calls {max(depths.values())} deep"
        raise ModelError(f"expected at most {_NODES} nodes in {_DEPTH} calls within each other, seen {seen}")


def _calls(nodes: list[onnx.NodeProto]) -> Counter[_Name]:
    inner = [node for one in nodes for graph in graphs_in(one) for part in graphs_of(graph) for node in part.node]
    return Counter((node.domain, node.op_type, node.overload) for node in (*nodes, *inner))
