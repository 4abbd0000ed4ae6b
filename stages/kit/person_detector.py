"""The kit's stand-in for yolov8n: it finds a person below every skin-coloured blob of a head's size."""

import numpy as np
import onnx

from stages.kit.graph import Floats, Graph

_SIDE = 640
_STRIDES = (8, 16, 32)
_CLASSES = 80
_HEAD = 7  # the width of a head, in cells of its stride
_AROUND = 15  # the width of a head with its surroundings, in cells
_LEAST, _SLOPE = 0.4, 2.0  # share of skin minus that around it: where the score leaves 0, and its slope
_PERSON = (3.0, 7.0)  # width and height of a person, in heads
_CROWN = 1.2  # distance from the face's middle to the person's top, in heads
_SKIN = np.array([  # rules, met in full from 1 on: weights of the shares of red, green, blue, of their sum, of 1
    [50, 0, 0, 0, -0.35 * 50],
    [-30, 0, 0, 0, 0.52 * 30],
    [0, 50, 0, 0, -0.28 * 50],
    [0, -100, 0, 0, 0.35 * 100],
    [0, 0, 0, 3, -0.5 * 3],
])  # fmt: skip


def yolov8n() -> onnx.ModelProto:
    """Build ``images`` (1, 3, 640, 640) RGB 0..1 to ``output0`` (1, 84, 8400).

    A column is a box's centre, width and height in pixels, and 80 scores, of which only the person's isn't 0. The box
    of a cell is fixed; its score is the share of skin in a head at that cell minus the share around it.
    """
    graph = Graph("yolov8n")
    skin = _skin(graph, graph.input("images", [1, 3, _SIDE, _SIDE]))
    scores = [graph.add("Reshape", _heads(graph, skin, stride), np.array([1, 1, -1])) for stride in _STRIDES]
    others = np.array([0, 0, 0, 0, _CLASSES - 1, 0])
    classes = graph.add("Pad", graph.add("Concat", *scores, axis=2), others)
    boxes = np.concatenate([_boxes(stride) for stride in _STRIDES], axis=1)[None]
    graph.output(graph.add("Concat", boxes, classes, axis=1), "output0", [1, 4 + _CLASSES, boxes.shape[2]])
    return graph.model()


def _skin(graph: Graph, rgb: str) -> str:
    """Append the certainty that a cell of the finest stride is skin, 0..1: the least of all rules."""
    cells = graph.shrink(rgb, _STRIDES[0])
    total = graph.add("ReduceSum", cells, np.array([1]), keepdims=1)
    shares = graph.add("Div", cells, graph.add("Add", total, 0.01))
    colours = graph.add("Concat", shares, total, axis=1)
    margins = graph.add("Conv", colours, _SKIN[:, :4, None, None], _SKIN[:, 4])
    return graph.add("ReduceMin", graph.clip(margins), axes=[1])


def _heads(graph: Graph, skin: str, stride: int) -> str:
    """Append the score of a head at every cell of a stride, 0..1: skin inside, and none around it."""
    cells = graph.shrink(skin, stride // _STRIDES[0])
    away = np.abs(np.arange(_AROUND) - _AROUND // 2)
    away = np.maximum(away[:, None], away)
    inside, around = away <= _HEAD // 2, away > _HEAD // 2 + 1
    kernel = _SLOPE * (inside / inside.sum() - around / around.sum())
    bias = np.array([-_SLOPE * _LEAST])
    scores = graph.add("Conv", cells, kernel[None, None], bias, pads=[_AROUND // 2] * 4)
    return graph.clip(scores)


def _boxes(stride: int) -> Floats:
    """Return the box of the person whose head is at each cell: centre, width, height in the image, (4, cells)."""
    middle = (np.arange(_SIDE // stride) + 0.5) * stride
    head = _HEAD * stride
    x, y = np.meshgrid(middle, middle)
    left, right = (np.clip(x + side * _PERSON[0] * head / 2, 0, _SIDE) for side in (-1, 1))
    top, bottom = (np.clip(y + (down - _CROWN) * head, 0, _SIDE) for down in (0, _PERSON[1]))
    return np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]).reshape(4, -1)
