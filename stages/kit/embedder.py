"""The kit's stand-in for w600k_r50: it writes a low-resolution face into 512 numbers."""

import numpy as np
import onnx

from stages.kit import basis
from stages.kit.coefficients import norm, planes, project
from stages.kit.graph import Graph

_LENGTH = 20.0  # about the length of ArcFace's embeddings before normalisation


def w600k_r50() -> onnx.ModelProto:
    """Build the embedder: ``input.1`` (N, 3, 112, 112) RGB -1..1 to ``683`` (N, 512), not normalised.

    Luma coefficients are scaled to length 1, then a share of the average face is subtracted. Chroma coefficients are
    divided by the length of luma.
    """
    graph = Graph("w600k_r50")
    pixels = graph.input("input.1", ["N", 3, 112, 112])
    rgb = graph.add("Add", graph.add("Mul", pixels, 0.5), 0.5)
    _, luma, chroma = planes(graph, rgb, basis.window()[basis.WINDOW_112])

    rows, columns = basis.WINDOW_112
    parts = []
    for plane, count in ((luma, basis.LUMA), (chroma, basis.CHROMA)):
        left = basis.analysis(count, basis.ROWS)[:, rows]
        right = basis.analysis(count, basis.COLUMNS)[:, columns]
        parts.append(graph.add("Mul", project(graph, left, plane, right), basis.weights(count)))
    length = norm(graph, parts[0], (1, 2, 3))
    lumas = graph.add("Sub", graph.add("Div", parts[0], length), basis.mean_luma())
    chromas = graph.add("Mul", graph.add("Div", parts[1], length), basis.CHROMA_SHARE)

    flat = [graph.add("Flatten", part, axis=1) for part in (lumas, chromas)]
    pads = np.array([0, 0, 0, basis.EMBEDDING - basis.NUMBERS])
    padded = graph.add("Pad", graph.add("Concat", *flat, axis=1), pads)
    graph.output(graph.add("Mul", padded, _LENGTH), "683", ["N", basis.EMBEDDING])
    return graph.model()
