"""What the edits share: replace and rename nodes in place, and read their attributes and declared shapes."""

from collections.abc import Iterable, Mapping
from typing import Any

import onnx
from onnx import helper


def replace_all(values: Any, others: Iterable[Any]) -> None:
    """Replace the values of a repeated field, such as a graph's nodes, by others or by some of them."""
    kept = list(others)
    del values[:]
    values.extend(kept)


def rename(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> None:
    """Give values new names where nodes make and read them."""
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the values of the attributes that a node has, by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def dims_of(value: onnx.ValueInfoProto) -> list[int | str]:
    """Return the size or the name of each axis of an input or output."""
    return [dim.dim_value or dim.dim_param or "N" for dim in value.type.tensor_type.shape.dim]
