"""Scale features instead of weights, where a model computes a convolution's weights from its input.

A Conv node has one set of weights for all rows, so such a model is exported for one row only. With weights
``kernel * a * b``, where `a` has a number per input channel and `b` one per output channel, the scales can move to the
features, which differ by row: ``conv(x, kernel * a * b) == b * conv(a * x, kernel)``.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, section 2.2.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice

import numpy as np
import onnx
from onnx import helper, numpy_helper

from stages.surgery.label import label_of
from stages.surgery.trace import Shape, Trace, follow, start

_FACTORS = 100  # more than any weights have; a chain of n squares has 2**n
_Makers = Mapping[str, onnx.NodeProto]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Factors:
    """The factors of a convolution's weights: a constant kernel, and scales by input and by output channel."""

    kernel: str
    inputs: list[str]
    outputs: list[str]


def scale_features(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with constant weights and scaled features in place of modulated weights.

    Args:
        model: Not modified; returned itself if no Conv node computes its weights.

    Raises:
        ModelError: The shapes of its values don't fit; the message names the node.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    if not any(node.op_type == "Conv" and node.input[1] in makers for node in model.graph.node):
        return model
    trace = start(model, 1)
    for index, node in enumerate(model.graph.node):
        follow(trace, node, label_of(node, index))
    constants = {tensor.name for tensor in model.graph.initializer}
    edited = deepcopy(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        factors = _factors(trace, makers, constants, node) if node.op_type == "Conv" else None
        nodes.extend(_scaled(edited.graph, trace, node, factors) if factors else [node])
    del edited.graph.node[:]
    edited.graph.node.extend(nodes)
    return edited


def _factors(trace: Trace, makers: _Makers, constants: set[str], node: onnx.NodeProto) -> _Factors | None:
    """Return the factors of a convolution's weights; None if the weights are no such product."""
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    weights = trace.shape(node.input[1])
    kernels, inputs, outputs = [], [], []
    product = list(islice(_product(trace, makers, node.input[1]), _FACTORS + 1))
    if len(product) > _FACTORS:
        return None
    for name in product:
        shape = _aligned(trace.shape(name), len(weights))
        if shape == weights and name in constants:
            kernels.append(name)
        elif shape == (1, weights[1], *[1] * (len(weights) - 2)):
            inputs.append(name)
        elif shape == (weights[0], *[1] * (len(weights) - 1)):
            outputs.append(name)
        else:
            return None
    is_modulated = len(kernels) == 1 and groups == 1 and inputs + outputs
    return _Factors(kernel=kernels[0], inputs=inputs, outputs=outputs) if is_modulated else None


def _product(trace: Trace, makers: _Makers, name: str) -> Iterator[str]:
    """Yield the factors of a value, looking through nodes that only add or remove leading axes of 1."""
    node = makers.get(name)
    if node is None:
        yield name
    elif node.op_type == "Mul":
        for factor in node.input:
            yield from _product(trace, makers, factor)
    elif node.op_type in ("Identity", "Reshape", "Squeeze", "Unsqueeze") and _same(trace, node.input[0], name):
        yield from _product(trace, makers, node.input[0])
    else:
        yield name


def _same(trace: Trace, one: str, other: str) -> bool:
    rank = max(len(trace.shape(one)), len(trace.shape(other)))
    return _aligned(trace.shape(one), rank) == _aligned(trace.shape(other), rank)


def _aligned(shape: Shape, rank: int) -> Shape:
    """Return a shape at a rank: add or remove leading axes of 1 as far as that is possible."""
    while len(shape) > rank and shape[0] == 1:
        shape = shape[1:]
    return (*[1] * (rank - len(shape)), *shape)


def _scaled(graph: onnx.GraphProto, trace: Trace, node: onnx.NodeProto, factors: _Factors) -> Iterator[onnx.NodeProto]:
    """Yield the convolution with its constant kernel, and the nodes that scale the features before and after it."""
    output, weights = node.output[0], trace.shape(node.input[1])
    ones = [1] * (len(weights) - 2)

    def reshape(name: str, shape: list[int], suffix: str) -> onnx.NodeProto:
        target = f"{output}_{suffix}_shape"
        graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), target))
        return helper.make_node("Reshape", [name, target], [f"{output}_{suffix}"], f"{output}_{suffix}")

    value = node.input[0]
    for i, name in enumerate(factors.inputs):
        yield reshape(name, [1, weights[1], *ones], f"in{i}")
        yield helper.make_node("Mul", [value, f"{output}_in{i}"], [f"{output}_x{i}"], f"{output}_x{i}")
        value = f"{output}_x{i}"
    yield reshape(factors.kernel, list(weights), "kernel")
    convolution = deepcopy(node)
    steps = [("Mul", name) for name in factors.outputs] + [("Add", name) for name in node.input[2:] if name]
    names = [f"{output}_y{i}" for i in range(len(steps))] + [output]
    convolution.input[:], convolution.output[:] = [value, f"{output}_kernel"], names[:1]
    yield convolution
    for i, (operator, name) in enumerate(steps):
        yield reshape(name, [1, weights[0], *ones], f"out{i}")
        yield helper.make_node(operator, [names[i], f"{output}_out{i}"], [names[i + 1]], names[i + 1])
