"""Landmarkers of full size: the 2-D FAN of four hourglasses, and a perceptron from 5 points to 68.

Source: Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem?".
"""

from itertools import pairwise

import numpy as np
import onnx

from bench.full_size.export import Export

_POINTS, _GRID, _WIDTH = 68, 64, 256


def fan_68_5(name: str) -> onnx.ModelProto:
    """Build 0.24 M parameters: ``input`` (1, 5, 2) to ``output`` (1, 68, 2)."""
    graph, widths = Export(name), (10, 256, 384, 256, 2 * _POINTS)
    value = graph.reshape(graph.input("input", [1, 5, 2]), 1, 10)
    for layer, (source, target) in enumerate(pairwise(widths)):
        value = graph.gemm(graph.add("Relu", value) if layer else value, source, target)
    graph.output(graph.reshape(value, 1, _POINTS, 2), "output", [1, _POINTS, 2])
    return graph.model()


def fan_2d4(name: str) -> onnx.ModelProto:
    """Build 23.8 M parameters: ``input`` (1, 3, 256, 256) to ``landmarks_xyscore`` (1, 68, 3) and ``heatmaps``."""
    graph = Export(name)
    value = graph.relu_conv(graph.input("input", [1, 3, 4 * _GRID, 4 * _GRID]), 3, 64, 7, stride=2)
    value = graph.pool(_block(graph, value, 64, 128), 2, kind="Average")
    value = _block(graph, _block(graph, value, 128, 128), 128, _WIDTH)
    for stack in range(4):
        inside = _block(graph, _hourglass(graph, value, 4), _WIDTH, _WIDTH)
        inside = graph.relu_conv(inside, _WIDTH, _WIDTH, 1, gain=0.5)
        heatmaps = graph.conv(inside, _WIDTH, _POINTS, 1, gain=0.5)
        if stack < 3:
            back = graph.conv(inside, _WIDTH, _WIDTH, 1, gain=0.2)
            back = graph.add("Add", back, graph.conv(heatmaps, _POINTS, _WIDTH, 1, gain=0.2))
            value = graph.add("Add", value, back)
    graph.output(_points(graph, heatmaps), "landmarks_xyscore", [1, _POINTS, 3])
    graph.output(heatmaps, "heatmaps", [1, _POINTS, _GRID, _GRID])
    return graph.model()


def _block(graph: Export, value: str, source: int, target: int) -> str:
    """Append three chained convolutions, concatenate their results, and add the shortcut."""
    parts, inside = [], value
    widths = (source, target // 2, target // 4, target // 4)
    for inner, outer in pairwise(widths):
        inside = graph.add("Relu", graph.batch_norm(inside, inner))
        inside = graph.conv(inside, inner, outer, gain=0.2)
        parts.append(inside)
    if source != target:
        value = graph.conv(graph.add("Relu", graph.batch_norm(value, source)), source, target, 1)
    return graph.add("Add", graph.add("Concat", *parts, axis=1), value)


def _hourglass(graph: Export, value: str, depth: int) -> str:
    kept = _block(graph, value, _WIDTH, _WIDTH)
    small = _block(graph, graph.pool(value, 2, kind="Average"), _WIDTH, _WIDTH)
    small = _hourglass(graph, small, depth - 1) if depth > 1 else _block(graph, small, _WIDTH, _WIDTH)
    return graph.add("Add", kept, graph.enlarge(_block(graph, small, _WIDTH, _WIDTH), 2))


def _points(graph: Export, heatmaps: str) -> str:
    """Append each map's mean position and greatest value."""
    flat = graph.reshape(heatmaps, 1, _POINTS, _GRID * _GRID)
    down, across = np.divmod(np.arange(_GRID * _GRID), _GRID)
    places = graph.add("MatMul", graph.add("Softmax", flat, axis=2), np.stack([across, down], 1) + 0.5)
    return graph.add("Concat", places, graph.add("ReduceMax", flat, axes=[2], keepdims=1), axis=2)
