"""Free the names that edits give to values: a file may have them already, for something else."""

from collections.abc import Collection, Mapping
from copy import deepcopy

import onnx

from stages.surgery.nodes import rename
from stages.surgery.tensors import graphs_of


def without_names(model: onnx.ModelProto, taken: Collection[str]) -> tuple[onnx.ModelProto, Mapping[str, str]]:
    """Return the model without values whose names are taken, or begin so, and the new names of those that had one.

    Inputs keep their names.
    """
    inner = list(graphs_of(model.graph))
    names = {name for graph in inner for node in graph.node for name in node.output if name}
    names |= {tensor.name for graph in inner for tensor in graph.initializer}
    inputs = {value.name for graph in inner for value in graph.input}
    begins = tuple(f"{name}_" for name in taken)
    renamed: dict[str, str] = {}
    for name in sorted(names):
        if name in taken or name.startswith(begins):
            new = f"of_{name}"
            while new in names | inputs or new in taken or new.startswith(begins):
                new = f"of_{new}"
            names.add(new)
            renamed[name] = new
    if not renamed:
        return model, renamed
    edited = deepcopy(model)
    for graph in graphs_of(edited.graph):
        rename(graph.node, renamed)
        for value in (*graph.output, *graph.initializer, *graph.value_info):
            value.name = renamed.get(value.name, value.name)
    return edited, renamed
