"""The kit's stand-ins for xseg_1, _2 and _3: the mean face's outline without its far darker parts."""

import numpy as np
import onnx

from stages.kit.graph import Graph, settle
from stages.kit.mean_face import soft_mask

_CELLS = 64  # a side of the mask before it is enlarged; an image has four pixels a cell
_SOFTNESS = {1: 0.06, 2: 0.08, 3: 0.1}  # of the outline, by variant
_BLUR = 15  # cells; wide, so that eyes and a moustache don't count as occluded
_HIDDEN, _SEEN = 0.2, 0.4  # luma relative to the face's mean: occluded below the first, visible above the second


def xseg(variant: int) -> onnx.ModelProto:
    """Build ``input`` (N, 256, 256, 3) BGR 0..1 to ``output`` (N, 256, 256, 1), 1 where the face is visible.

    Variants 1, 2 and 3 differ in the softness of the outline.
    """
    graph = Graph(f"xseg_{variant}")
    bgr = graph.add("Transpose", graph.input("input", ["N", 256, 256, 3]), perm=[0, 3, 1, 2])
    weights = np.array([0.114, 0.587, 0.299])[:, None, None] / 16
    luma = graph.add("Conv", bgr, np.broadcast_to(weights, (1, 3, 4, 4)), strides=[4, 4])

    mask = soft_mask(_CELLS, softness=_SOFTNESS[variant])[None, None]
    masked = graph.add("Mul", luma, mask)
    around = graph.blur(masked, _BLUR, counts_border=True)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(mask[0, 0], _BLUR // 2), [_BLUR, _BLUR])
    near = graph.add("Div", around, settle(windows.mean((2, 3)) + 1e-3))
    mean = graph.add("Div", graph.add("ReduceMean", masked, axes=[2, 3]), settle([mask.mean()]))
    share = graph.add("Div", near, graph.add("Add", mean, 1e-3))
    above = graph.add("Sub", share, _HIDDEN)
    visible = graph.clip(graph.add("Mul", above, 1 / (_SEEN - _HIDDEN)))

    small = graph.add("Mul", visible, mask)
    enlarged = graph.add("Resize", small, "", np.array([1, 1, 4, 4], np.float32), mode="linear")
    graph.output(graph.add("Transpose", enlarged, perm=[0, 2, 3, 1]), "output", ["N", 256, 256, 1])
    return graph.model()
