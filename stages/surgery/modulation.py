"""Scale features instead of weights, where a model computes a convolution's weights from its input.

A Conv node has one set of weights for all rows, so such a model is exported for one row only. With weights
``kernel * a * b``, where `a` has a number per input channel and `b` one per output channel, the scales can move to the
features, which differ by row: ``conv(x, kernel * a * b) == b * conv(a * x, kernel)``.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, section 2.2.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import dropwhile, islice

import numpy as np
import onnx
from onnx import helper, numpy_helper

from stages.surgery.nodes import attributes_of, replace_all
from stages.surgery.trace import Shape, Trace, follow_all

_RESHAPING = ("Identity", "Reshape", "Squeeze", "Unsqueeze")
_FACTORS = 100  # more than any weights have; a chain of n squares has 2**n
_Makers = Mapping[str, onnx.NodeProto]
_Factors = tuple[str, list[str], list[str]]  # a constant kernel, scales by input channel, scales by output channel


def scale_features(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with constant weights and scaled features in place of modulated weights."""
    makers = {name: node for node in model.graph.node for name in node.output}
    if not any(node.op_type == "Conv" and node.input[1] in makers for node in model.graph.node):
        return model
    trace = follow_all(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    edited = deepcopy(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        factors = _factors(trace, makers, constants, node) if node.op_type == "Conv" else None
        nodes.extend(_scaled(edited.graph, trace, node, factors) if factors else [node])
    replace_all(edited.graph.node, nodes)
    return edited


def _factors(trace: Trace, makers: _Makers, constants: set[str], node: onnx.NodeProto) -> _Factors | None:
    """Return the factors of a convolution's weights; None if the weights are no such product."""
    weights = trace.shape(node.input[1])
    product = list(islice(_product(trace, makers, node.input[1]), _FACTORS + 1))
    if len(product) > _FACTORS or attributes_of(node).get("group", 1) != 1:
        return None
    ones = [1] * (len(weights) - 2)
    kernels, inputs, outputs = [], [], []
    for name in product:
        shape = _core(trace.shape(name))
        if shape == _core(weights) and name in constants:
            kernels.append(name)
        elif shape == _core((weights[1], *ones)):
            inputs.append(name)
        elif shape == _core((weights[0], 1, *ones)):
            outputs.append(name)
        else:
            return None
    return (kernels[0], inputs, outputs) if len(kernels) == 1 and inputs + outputs else None


def _product(trace: Trace, makers: _Makers, name: str) -> Iterator[str]:
    """Yield the factors of a value, looking through nodes that only add or remove leading axes of 1."""
    node = makers.get(name)
    if node is None:
        yield name
    elif node.op_type == "Mul":
        for factor in node.input:
            yield from _product(trace, makers, factor)
    elif node.op_type in _RESHAPING and _core(trace.shape(node.input[0])) == _core(trace.shape(name)):
        yield from _product(trace, makers, node.input[0])
    else:
        yield name


def _core(shape: Shape) -> Shape:
    """Return a shape without leading axes of 1."""
    return tuple(dropwhile(lambda size: size == 1, shape))


def _scaled(graph: onnx.GraphProto, trace: Trace, node: onnx.NodeProto, factors: _Factors) -> Iterator[onnx.NodeProto]:
    """Yield the convolution with its constant kernel, and the nodes that scale the features before and after it."""
    output, weights, (kernel, inputs, outputs) = node.output[0], trace.shape(node.input[1]), factors
    ones = [1] * (len(weights) - 2)

    def reshape(name: str, shape: list[int], suffix: str) -> onnx.NodeProto:
        target = f"{output}_{suffix}_shape"
        graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), target))
        return helper.make_node("Reshape", [name, target], [f"{output}_{suffix}"], f"{output}_{suffix}")

    value = node.input[0]
    for i, name in enumerate(inputs):
        yield reshape(name, [1, weights[1], *ones], f"in{i}")
        yield helper.make_node("Mul", [value, f"{output}_in{i}"], [f"{output}_x{i}"], f"{output}_x{i}")
        value = f"{output}_x{i}"
    yield reshape(kernel, list(weights), "kernel")
    convolution = deepcopy(node)
    steps = [("Mul", name) for name in outputs] + [("Add", name) for name in node.input[2:] if name]
    names = [f"{output}_y{i}" for i in range(len(steps))] + [output]
    convolution.input[:], convolution.output[:] = [value, f"{output}_kernel"], names[:1]
    yield convolution
    for i, (operator, name) in enumerate(steps):
        yield reshape(name, [1, weights[0], *ones], f"out{i}")
        yield helper.make_node(operator, [names[i], f"{output}_out{i}"], [names[i + 1]], names[i + 1])
