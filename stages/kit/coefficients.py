"""Graph fragments that the embedder and the swappers share: from pixels to coefficients."""

import numpy as np

from stages.kit import basis
from stages.kit.graph import Floats, Graph

EPSILON = np.array([1e-6])


def planes(graph: Graph, rgb: str, window: Floats) -> tuple[str, str, str]:
    """Append RGB to Y, Cb, Cr, and the planes less their mean inside the window, times the window.

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
    luma = graph.add("Slice", windowed, np.array([0]), np.array([1]), np.array([1]))
    chroma = graph.add("Slice", windowed, np.array([1]), np.array([3]), np.array([1]))
    return ycc, luma, chroma


def project(graph: Graph, left: Floats, plane: str, right: Floats) -> str:
    """Append ``left @ plane @ right.T`` over the last two axes."""
    return graph.add("MatMul", graph.add("MatMul", left, plane), right.T.copy())


def norm(graph: Graph, value: str, axes: tuple[int, ...]) -> str:
    """Append the Euclidean norm over some axes, kept as axes of length 1, never quite 0."""
    return graph.add("Add", graph.add("ReduceL2", value, axes=axes, keepdims=1), EPSILON)
