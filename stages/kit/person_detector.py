"""The kit's stand-in for yolov8n: a person stands under every skin-coloured blob that could be a head."""

import numpy as np
import onnx

from stages.kit.graph import Floats, Graph

_SIDE = 640
_STRIDES = (8, 16, 32)
_CLASSES = 80
_HEAD = 7  # the width of a head, in cells of its stride
_AROUND = 15  # the width of a head with its surroundings, in cells
_LEAST, _SLOPE = 0.4, 2.0  # the share of skin, less that around, where the score leaves 0; its slope
_PERSON = (3.0, 7.0)  # width and height of a person, in heads
_CROWN = 1.2  # from the middle of the face up to the person's top, in heads
_SKIN = np.array([  # rules, sure from 1 on: weights of the shares of red, green and blue, of the sum, of 1
    [50, 0, 0, 0, -0.35 * 50],
    [-30, 0, 0, 0, 0.52 * 30],
    [0, 50, 0, 0, -0.28 * 50],
    [0, -100, 0, 0, 0.35 * 100],
    [0, 0, 0, 3, -0.5 * 3],
])  # fmt: skip


def yolov8n() -> onnx.ModelProto:
    """Build ``images`` (1, 3, 640, 640) RGB 0..1 to ``output0`` (1, 84, 8400).

    A column is a box's centre, width and height in pixels, and 80 scores of which only the person's isn't 0.
    Every cell's box is fixed; its score is the share of skin in a head there, less that around.
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
    """Return how sure a cell of the finest stride is skin, 0..1: as sure as the least sure rule."""
    cells = graph.add("AveragePool", rgb, kernel_shape=[_STRIDES[0]] * 2, strides=[_STRIDES[0]] * 2)
    total = graph.add("ReduceSum", cells, np.array([1]), keepdims=1)
    shares = graph.add("Div", cells, graph.add("Add", total, np.array([0.01])))
    colours = graph.add("Concat", shares, total, axis=1)
    margins = graph.add("Conv", colours, _SKIN[:, :4, None, None], _SKIN[:, 4])
    return graph.add("ReduceMin", graph.add("Clip", margins, np.array(0.0), np.array(1.0)), axes=[1])


def _heads(graph: Graph, skin: str, stride: int) -> str:
    """Return how sure a head is at a stride's every cell, 0..1: it is skin, and what is around isn't."""
    step = stride // _STRIDES[0]
    cells = graph.add("AveragePool", skin, kernel_shape=[step, step], strides=[step, step])
    away = np.abs(np.arange(_AROUND) - _AROUND // 2)
    away = np.maximum(away[:, None], away)
    inside, around = away <= _HEAD // 2, away > _HEAD // 2 + 1
    kernel = _SLOPE * (inside / inside.sum() - around / around.sum())
    bias = np.array([-_SLOPE * _LEAST])
    scores = graph.add("Conv", cells, kernel[None, None], bias, pads=[_AROUND // 2] * 4)
    return graph.add("Clip", scores, np.array(0.0), np.array(1.0))


def _boxes(stride: int) -> Floats:
    """Return the persons under heads at every cell: centre, width, height within the image, (4, cells)."""
    middle = (np.arange(_SIDE // stride) + 0.5) * stride
    head = _HEAD * stride
    x, y = np.meshgrid(middle, middle)
    left, right = (np.clip(x + side * _PERSON[0] * head / 2, 0, _SIDE) for side in (-1, 1))
    top, bottom = (np.clip(y + (down - _CROWN) * head, 0, _SIDE) for down in (0, _PERSON[1]))
    return np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]).reshape(4, -1)
