"""Find the nodes that calculate with places in an image: half precision has no odd numbers above 2048."""

import onnx

from stages.surgery.links import links_of, reached

_PLACES = {"ArgMax": 0, "ArgMin": 0, "TopK": 1}  # operators that find a place, and the output that is one
_CALCULATING = {  # what coordinates are made with
    *("Abs", "Add", "Cast", "Ceil", "Clip", "Concat", "Div", "Expand", "Flatten", "Floor", "Gather", "Identity"),
    *("Max", "Min", "Mod", "Mul", "Neg", "Reshape", "Round", "Slice", "Split", "Squeeze", "Sub", "Tile", "Transpose"),
    *("Unsqueeze", "Where"),
}


def positions(graph: onnx.GraphProto) -> set[int]:
    """Return the indices of nodes that calculate with an index of the greatest, or with coordinates made of one."""
    links = links_of(graph)

    def calculating(name: str) -> list[int]:
        readers = [(i, links.nodes[i]) for i in links.readers[name] if links.nodes[i].op_type in _CALCULATING]
        return [i for i, node in readers if node.op_type != "Gather" or node.input[0] == name]

    places = [node.output[_PLACES[node.op_type]] for node in links.nodes if node.op_type in _PLACES]
    first = [i for name in places for i in calculating(name)]
    return reached(first, lambda i: [j for name in links.nodes[i].output for j in calculating(name)])
