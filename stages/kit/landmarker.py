"""The kit's stand-ins for fan_68_5 and 2dfan4: they fit the mean face to five points or to an image."""

import numpy as np
import onnx

from stages.kit.graph import Floats, Graph, settle
from stages.kit.mean_face import ARCFACE_128, FFHQ_512, outline, place, points5, points68, similarity, soft_mask

_GRID = 64  # the side of 2dfan4's heat maps in cells; the image has four pixels a cell
_SIDE = 67.8  # of the ffhq_512 crop, in cells, where a detector's box is 195 pixels long: mean of 30 faces
_CENTRE = np.array([32.0, 35.5])  # position of that crop's point _PIVOT, in cells
_PIVOT = np.array([0.5, 0.6])
_ANGLES = (-16, -8, 0, 8, 16)  # in degrees; the 30 faces' standard deviation is 5
_REACH = 6  # the search's distance to each side, in cells; the 30 faces' standard deviation is 1.6
_DARK = (  # parts of the face: first of the 68 points, end, how dark
    (17, 22, 0.5),
    (22, 27, 0.5),
    (31, 36, 0.6),
    (36, 42, 1.0),
    (42, 48, 1.0),
    (48, 60, 0.3),
)
_BLUR = 17  # side of the neighbourhood of local contrast, in cells
_BRIGHTEST = 0.5  # upper limit of the contrast, so that teeth and highlights count little
_SHARPNESS = 40.0  # of the softmax over poses
_RARITY = 1 / 40  # penalty of a squared cell of shift in that softmax
_SURE, _SLOPE = 0.3, 12.0  # the correlation that gives the score 0.5, and the slope; faces have 0.4 to 0.8
_SPREAD = 1.5  # the standard deviation of a heat map's peak, in cells


def fan_68_5() -> onnx.ModelProto:
    """Build ``input`` (1, 5, 2) to ``output`` (1, 68, 2), both in fractions of the `ffhq_512` crop."""
    graph = Graph("fan_68_5")
    points = graph.input("input", [1, 5, 2])
    graph.output(graph.add("MatMul", _weights(), points), "output", [1, 68, 2])
    return graph.model()


def fan_2d4() -> onnx.ModelProto:
    """Build ``input`` (1, 3, 256, 256) RGB 0..1 to ``landmarks_xyscore`` (1, 68, 3) and ``heatmaps``.

    The mean face's dark parts are correlated with the image's local contrast, at every angle and shift. The points
    are the mean over all angles and shifts, weighted by their correlation. ``heatmaps`` is (1, 68, 64, 64).
    """
    graph = Graph("2dfan4")
    contrast = _local_contrast(graph, graph.input("input", [1, 3, _GRID * 4, _GRID * 4]))
    power = graph.add("Mul", graph.add("Mul", contrast, contrast), _face_mask(0))
    length = graph.add("Sqrt", graph.add("ReduceSum", power, np.array([1, 2, 3]), keepdims=1))
    patterns = np.stack([_pattern(angle) for angle in _ANGLES])[:, None]
    fits = graph.add("Conv", graph.add("Div", contrast, graph.add("Add", length, 0.01)), patterns)

    x, y = _mean_points(graph, fits)
    across = graph.add("Unsqueeze", _peak(graph, x), np.array([2]))
    down = graph.add("Unsqueeze", _peak(graph, y), np.array([3]))
    peaks = graph.add("Mul", down, across)
    excess = graph.add("Sub", graph.add("ReduceMax", fits, axes=[1, 2, 3], keepdims=1), _SURE)
    heatmaps = graph.add("Mul", peaks, graph.add("Sigmoid", graph.add("Mul", excess, _SLOPE)))

    score = graph.add("Unsqueeze", graph.add("ReduceMax", heatmaps, axes=[2, 3], keepdims=0), np.array([2]))
    graph.output(graph.add("Concat", x, y, score, axis=2), "landmarks_xyscore", [1, 68, 3])
    graph.output(heatmaps, "heatmaps", [1, 68, _GRID, _GRID])
    return graph.model()


def _mean_points(graph: Graph, fits: str) -> tuple[str, str]:
    """Return the points' x and y, (1, 68, 1) each, from (1, angles, shifts down, shifts across)."""
    steps = np.arange(-_REACH, _REACH + 1.0)
    cost = settle(_RARITY * (steps[:, None] ** 2 + steps**2))
    evidence = graph.add("Sub", graph.add("Mul", fits, _SHARPNESS), cost)
    chances = graph.add("Softmax", graph.add("Reshape", evidence, np.array([1, -1])), axis=1)
    table = graph.add("Reshape", chances, np.array([1, len(_ANGLES), len(steps) ** 2]))
    of_angle = graph.add("ReduceSum", table, np.array([2]), keepdims=0)
    of_shift = graph.add("ReduceSum", table, np.array([1]), keepdims=0)
    of_each = graph.add("Concat", of_angle, of_shift, axis=1)

    faces = np.stack([_turn(_face68(), angle) for angle in _ANGLES])
    shifts = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 1, 2)

    def mean(axis: int) -> str:
        points = np.concatenate([faces, shifts.repeat(68, 1)])[..., axis]
        return graph.add("Reshape", graph.add("MatMul", of_each, points), np.array([1, 68, 1]))

    return mean(0), mean(1)


def _peak(graph: Graph, centre: str) -> str:
    """Return a Gaussian along one side of the heat maps, (1, 68, 64)."""
    away = graph.add("Sub", np.arange(_GRID) + 0.5, centre)
    return graph.add("Exp", graph.add("Mul", graph.add("Mul", away, away), -0.5 / _SPREAD**2))


def _weights() -> Floats:
    """Return the (68, 5) matrix from five points to 68: a least-squares affine fit.

    Detectors place eyes and mouth as in `ffhq_512`, closer to each other than in `arcface_128`, the mean face's crop.
    So brows, eyes, nose and lips are fitted to the mean face's own five points, and the jaw to the crop's.
    """
    face = points68()
    jaw = place(face[:17], similarity(ARCFACE_128, FFHQ_512))
    parts = ((jaw, FFHQ_512), (face[17:], points5(face)))
    return settle(np.concatenate([_with_ones(to) @ np.linalg.pinv(_with_ones(of)) for to, of in parts]))


def _with_ones(points: Floats) -> Floats:
    return np.column_stack([points, np.ones(len(points))])


def _face68() -> Floats:
    return settle(_weights() @ FFHQ_512)


def _turn(points: Floats, degrees: float) -> Floats:
    """Map points of the `ffhq_512` crop to cells, rotated around the nose."""
    angle = np.radians(degrees)
    turn = _SIDE * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return place(points, np.column_stack([turn, _CENTRE - turn @ _PIVOT]))


def _face_mask(degrees: float) -> Floats:
    face = place(outline(), similarity(ARCFACE_128, FFHQ_512))
    return settle(soft_mask(_GRID, softness=0.03, polygon=_turn(face, degrees) / _GRID))


def _pattern(degrees: float) -> Floats:
    """Draw the face's dark parts minus their mean over the face, of length 1; the search's margin is cut off."""
    points, mask = _turn(_face68(), degrees) / _GRID, _face_mask(degrees)
    parts = [level * soft_mask(_GRID, softness=0.1, polygon=points[i:j]) for i, j, level in _DARK]
    dark = np.sum(parts, axis=0)
    pattern = mask * (np.sum(mask * dark) / np.sum(mask) - dark)
    return settle(pattern / np.sqrt(np.sum(pattern * pattern)))[_REACH:-_REACH, _REACH:-_REACH]


def _local_contrast(graph: Graph, rgb: str) -> str:
    """Append luma by cell, minus the mean of its neighbourhood, divided by the neighbourhood's standard deviation."""
    weights = np.array([0.299, 0.587, 0.114])[:, None, None] / 16
    luma = graph.add("Conv", rgb, np.broadcast_to(weights, (1, 3, 4, 4)), strides=[4, 4])
    detail = graph.add("Sub", luma, graph.blur(luma, _BLUR, counts_border=False))
    variance = graph.blur(graph.add("Mul", detail, detail), _BLUR, counts_border=False)
    deviation = graph.add("Sqrt", graph.add("Add", variance, 1e-3))
    return graph.add("Min", graph.add("Div", detail, deviation), _BRIGHTEST)
