"""An occluder of full size: DeepFaceLab's XSeg as tf2onnx writes it, channels last outside.

Source: DeepFaceLab, `core/leras/models/XSeg.py`.
"""

import numpy as np
import onnx

from bench.full_size.export import EPSILON, Export

_BASE, _CELLS = 32, 4  # channels of the first level; a side of the last
_DOWN = (  # multiples of _BASE that a level's convolutions give, and the side of the blur after it
    ((1, 1), 4),
    ((2, 2), 3),
    ((4, 4), 2),
    ((8, 8, 8), 2),
    ((8, 8, 8), 2),
    ((8, 8, 8), 2),
)
_UP = ((4, (8, 8, 8)), (4, (8, 8, 8)), (4, (8, 8, 8)), (4, (4, 4)), (2, (2, 2)), (1, (1, 1)))


def xseg(name: str) -> onnx.ModelProto:
    """Build 17.5 M parameters: ``input`` (N, 256, 256, 3) to ``output`` (N, 256, 256, 1)."""
    graph = Export(name)
    value = graph.add("Transpose", graph.input("input", ["unk__0", 256, 256, 3]), perm=[0, 3, 1, 2])
    source, kept = 3, []
    for widths, side in _DOWN:
        for width in widths:
            value, source = _normal(graph, graph.conv(value, source, width * _BASE), width * _BASE), width * _BASE
        kept.append((value, source))
        value = _blur(graph, value, source, side)
    value = _dense(graph, value, source)
    for width, widths in _UP:
        weights = graph.weights(source, width * _BASE, 3, 3)
        larger = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}
        value = _normal(graph, graph.add("ConvTranspose", value, weights, **larger), width * _BASE)
        beside, channels = kept.pop()
        value, source = graph.add("Concat", value, beside, axis=1), width * _BASE + channels
        for inner in widths:
            value, source = _normal(graph, graph.conv(value, source, inner * _BASE), inner * _BASE), inner * _BASE
    mask = graph.add("Sigmoid", graph.conv(value, source, 1))
    graph.output(graph.add("Transpose", mask, perm=[0, 2, 3, 1]), "output", ["unk__1", 256, 256, 1])
    return graph.model()


def _normal(graph: Export, value: str, width: int) -> str:
    """Append filter response normalisation and its thresholded unit."""
    power = graph.add("ReduceMean", graph.add("Mul", value, value), axes=[2, 3], keepdims=1)
    root = graph.add("Sqrt", graph.add("Add", power, graph.add("Abs", EPSILON)))
    scaled = graph.add("Mul", graph.add("Mul", value, graph.add("Reciprocal", root)), graph.vector(width, 1, 1, mean=1))
    return graph.add("Max", graph.add("Add", scaled, graph.vector(width, 1, 1)), graph.vector(width, 1, 1))


def _blur(graph: Export, value: str, width: int, side: int) -> str:
    row = np.array({4: [1, 3, 3, 1], 3: [1, 2, 1], 2: [1, 1]}[side], np.float32)
    kernel = np.outer(row, row)[None, None].repeat(width, 0) / row.sum() ** 2
    first, last = (side - 1) // 2, side // 2
    padded = graph.add("Pad", value, np.array([0, 0, first, first, 0, 0, last, last])) if side > 2 else value
    return graph.add("Conv", padded, kernel, group=width, kernel_shape=[side] * 2, strides=[2, 2])


def _dense(graph: Export, value: str, width: int) -> str:
    """Append the two layers that see the whole face."""
    numbers, last = _CELLS * _CELLS * width, graph.add("Transpose", value, perm=[0, 2, 3, 1])
    flat = graph.reshape(last, -1, numbers)
    for source, target in ((numbers, 512), (512, numbers)):
        weights = graph.weights(target, source)
        flat = graph.add("Add", graph.add("MatMul", flat, graph.add("Transpose", weights)), graph.vector(target))
    return graph.add("Transpose", graph.reshape(flat, -1, _CELLS, _CELLS, width), perm=[0, 3, 1, 2])
