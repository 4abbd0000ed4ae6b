"""The kit's stand-in for gfpgan: a mild unsharp mask."""

import numpy as np
import onnx

from stages.kit.graph import Graph

_NEAR = 5  # the neighbourhood that detail is measured against, in pixels
_GAIN = 0.5  # how much of the detail is added


def gfpgan() -> onnx.ModelProto:
    """Build ``input`` (1, 3, 512, 512) RGB -1..1 to ``output``, the same shape and range."""
    graph = Graph("gfpgan")
    pixels = graph.input("input", [1, 3, 512, 512])
    square, pads = [_NEAR, _NEAR], [_NEAR // 2] * 4
    smooth = graph.add("AveragePool", pixels, kernel_shape=square, pads=pads, count_include_pad=0)
    detail = graph.add("Mul", graph.add("Sub", pixels, smooth), np.array([_GAIN]))
    sharp = graph.add("Clip", graph.add("Add", pixels, detail), np.array(-1.0), np.array(1.0))
    graph.output(sharp, "output", [1, 3, 512, 512])
    return graph.model()
