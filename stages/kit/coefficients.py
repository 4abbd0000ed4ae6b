"""Graph fragments that the embedder and the swappers share: from pixels to coefficients."""

import numpy as np

from stages.kit import basis
from stages.kit.graph import Floats, Graph

EPSILON = 1e-6


def planes(graph: Graph, rgb: str, window: Floats) -> tuple[str, str, str]:
    """Append the conversion of RGB to Y, Cb, Cr, then subtract each plane's mean in the window and apply the window.

    Args:
        graph: Extended in place.
        rgb: ``(N, 3, H, W)``, range 0..1.
        window: ``(H, W)``, 0..1.

    Returns:
        Names of the ``(N, 3, H, W)`` planes, and of the windowed luma ``(N, 1, H, W)`` and chroma ``(N, 2, H, W)``.
    """
    ycc = graph.add("Conv", rgb, basis.RGB_TO_YCC[:, :, None, None])
    share = (window / window.sum())[None, None]
    mean = graph.add("ReduceSum", graph.add("Mul", ycc, share), np.array([2, 3]), keepdims=1)
    windowed = graph.add("Mul", graph.add("Sub", ycc, mean), window[None, None])
    return ycc, graph.channels(windowed, 0, 1), graph.channels(windowed, 1, 3)


def project(graph: Graph, left: Floats, plane: str, right: Floats) -> str:
    """Append ``left @ plane @ right.T`` over the last two axes."""
    return graph.add("MatMul", graph.add("MatMul", left, plane), right.T.copy())


def norm(graph: Graph, value: str, axes: tuple[int, ...]) -> str:
    """Append the Euclidean norm over some axes, plus 1e-6 so that it is never 0; the axes stay, with length 1."""
    return graph.add("Add", graph.add("ReduceL2", value, axes=axes, keepdims=1), EPSILON)
