"""Swappers of full size: inswapper's published layers, and as many parameters as hyperswap's."""

from itertools import pairwise

import numpy as np
import onnx

from bench.full_size.export import EPSILON, Export

_WIDEST = 1024


def inswapper(name: str, *, half: bool = False) -> onnx.ModelProto:
    """Build 138.3 M parameters, 175 GMAC, of InsightFace's layers, and emap.

    Args:
        name: Of the model.
        half: Weights and arithmetic are float16, inputs and outputs float32.
    """
    graph = Export(name, opset=11, half=half)
    target, source = graph.input("target", [1, 3, 128, 128]), graph.input("source", [1, 512])
    if half:
        target, source = (graph.add("Cast", value, to=10) for value in (target, source))
    value = _leaky(graph, graph.conv(_mirror(graph, target, 3), 3, 128, 7, pad=0))
    for inner, outer, stride in ((128, 256, 1), (256, 512, 2), (512, _WIDEST, 2)):
        value = _leaky(graph, graph.conv(value, inner, outer, stride=stride))
    for _ in range(6):
        inside = graph.add("Relu", _styled(graph, graph.conv(_mirror(graph, value, 1), *[_WIDEST] * 2, pad=0), source))
        inside = _styled(graph, graph.conv(_mirror(graph, inside, 1), *[_WIDEST] * 2, pad=0), source)
        value = graph.add("Add", value, inside)
    for inner, outer in ((_WIDEST, 512), (512, 256)):
        value = _leaky(graph, graph.conv(graph.enlarge(value, 2, mode="linear"), inner, outer, gain=0.7))
    value = _leaky(graph, graph.conv(value, 256, 128))
    value = graph.add("Tanh", graph.conv(_mirror(graph, value, 3), 128, 3, 7, pad=0, gain=0.1))
    value = graph.add("Div", graph.add("Add", value, np.array(1.0)), np.array(2.0))
    graph.output(graph.add("Cast", value, to=1) if half else value, "output", [1, 3, 128, 128])
    emap = np.random.default_rng(0).standard_normal((512, 512), np.float32)
    graph.constant(emap.astype(np.float16) if half else emap, "buff2fs")
    return graph.model()


def hyperswap(name: str) -> onnx.ModelProto:
    """Build 100.6 M parameters: a face of 256 pixels down to 16 and up again, composited by its own mask."""
    graph = Export(name)
    source, target = graph.input("source", [1, 512]), graph.input("target", [1, 3, 256, 256])
    graph._graph.input.reverse()
    value = _leaky(graph, graph.conv(target, 3, 64, 7))
    widths, skipped = (64, 128, 256, 512, _WIDEST), []
    for inner, outer in pairwise(widths):
        skipped.append(value)
        value = _leaky(graph, graph.conv(value, inner, outer, stride=2))
    for _ in range(4):
        inside = _adain(graph, graph.conv(value, _WIDEST, _WIDEST), source, _WIDEST)
        inside = _adain(graph, graph.conv(inside, _WIDEST, _WIDEST), source, _WIDEST)
        value = graph.add("Add", value, inside)
    for inner, outer in pairwise(reversed(widths)):
        value = graph.add("Add", graph.conv(graph.enlarge(value, 2), inner, outer, gain=0.7), skipped.pop())
        value = _adain(graph, graph.conv(value, outer, outer), source, outer)
    face = graph.add("Tanh", graph.conv(value, 64, 3, 7, gain=0.3))
    mask = graph.add("Sigmoid", graph.conv(value, 64, 1, 7))
    rest = graph.add("Mul", target, graph.add("Sub", np.array(1.0), mask))
    graph.output(graph.add("Add", graph.add("Mul", face, mask), rest), "output", [1, 3, 256, 256])
    graph.output(mask, "mask", [1, 1, 256, 256])
    return graph.model()


def _leaky(graph: Export, value: str) -> str:
    return graph.add("LeakyRelu", value, alpha=0.2)


def _mirror(graph: Export, value: str, width: int) -> str:
    return graph.add("Pad", value, np.array([0, 0, width, width] * 2), mode="reflect")


def _styled(graph: Export, value: str, source: str) -> str:
    """Append instance normalisation, written out, and the source's scale and shift."""
    centred = graph.add("Sub", value, graph.add("ReduceMean", value, axes=[2, 3], keepdims=1))
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes=[2, 3], keepdims=1)
    deviation = graph.add("Sqrt", graph.add("Add", variance, EPSILON))
    normal = graph.add("Mul", centred, graph.add("Div", np.array(1.0), deviation))
    style = graph.unsqueeze(graph.unsqueeze(graph.gemm(source, 512, 2 * _WIDEST), 2), 3)
    ends = ((0, _WIDEST), (_WIDEST, 2 * _WIDEST))
    scale, shift = (graph.add("Slice", style, np.array([a]), np.array([b]), np.array([1])) for a, b in ends)
    return graph.add("Add", graph.add("Mul", normal, graph.add("Add", scale, np.array(1.0))), shift)


def _adain(graph: Export, value: str, source: str, width: int) -> str:
    """Append instance normalisation, one node, the source's scale and shift, and an activation."""
    plain = [graph.constant(array) for array in (np.ones(width, np.float32), np.zeros(width, np.float32))]
    normal = graph.add("InstanceNormalization", value, *plain, epsilon=1e-5)
    style = graph.reshape(graph.gemm(source, 512, 2 * width), 1, 2 * width, 1, 1)
    scale, shift = graph.split(style, [width, width])
    styled = graph.add("Add", graph.add("Mul", normal, graph.add("Add", scale, np.array(1.0))), shift)
    return _leaky(graph, styled)
