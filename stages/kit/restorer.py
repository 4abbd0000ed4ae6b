"""The kit's stand-in for gfpgan: a mild unsharp mask."""

import numpy as np
import onnx

from stages.kit.graph import Graph

_NEAR = 5  # side of the neighbourhood that detail is compared with, in pixels
_GAIN = 0.5  # share of the detail that is added


def gfpgan() -> onnx.ModelProto:
    """Build ``input`` (1, 3, 512, 512) RGB -1..1 to ``output``, the same shape and range."""
    graph = Graph("gfpgan")
    pixels = graph.input("input", [1, 3, 512, 512])
    smooth = graph.blur(pixels, _NEAR, counts_border=False)
    detail = graph.add("Mul", graph.add("Sub", pixels, smooth), _GAIN)
    sharp = graph.add("Clip", graph.add("Add", pixels, detail), np.array(-1.0), np.array(1.0))
    graph.output(sharp, "output", [1, 3, 512, 512])
    return graph.model()
