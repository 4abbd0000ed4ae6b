"""A person detector of full size: YOLOv8n as Ultralytics exports it.

Source: Ultralytics, `ultralytics/cfg/models/v8/yolov8.yaml`.
"""

import numpy as np
import onnx

from bench.full_size.export import Export

_SIDE, _STRIDES = 640, (8, 16, 32)
_CLASSES, _BINS = 80, 16


def yolov8n(name: str) -> onnx.ModelProto:
    """Build 3.2 M parameters: ``images`` (1, 3, 640, 640) to ``output0`` (1, 84, 8400)."""
    graph = Export(name)
    value = _conv(graph, graph.input("images", [1, 3, _SIDE, _SIDE]), 3, 16, stride=2)
    source, stages = 16, []
    for width, blocks in ((32, 1), (64, 2), (128, 2), (256, 1)):
        value = _c2f(graph, _conv(graph, value, source, width, stride=2), width, width, blocks, is_residual=True)
        source = width
        stages.append(value)
    _, fine, middle, coarse = stages
    coarse = _pyramid(graph, coarse)
    inner = _c2f(graph, graph.add("Concat", graph.enlarge(coarse, 2), middle, axis=1), 384, 128, 1)
    fine = _c2f(graph, graph.add("Concat", graph.enlarge(inner, 2), fine, axis=1), 192, 64, 1)
    middle = _c2f(graph, graph.add("Concat", _conv(graph, fine, 64, 64, stride=2), inner, axis=1), 192, 128, 1)
    coarse = _c2f(graph, graph.add("Concat", _conv(graph, middle, 128, 128, stride=2), coarse, axis=1), 384, 256, 1)
    levels = [_head(graph, *level) for level in ((fine, 64), (middle, 128), (coarse, 256))]
    graph.output(_decode(graph, graph.add("Concat", *levels, axis=2)), "output0", [1, 4 + _CLASSES, 8400])
    return graph.model()


def _conv(graph: Export, value: str, source: int, target: int, side: int = 3, *, stride: int = 1) -> str:
    value = graph.conv(value, source, target, side, stride=stride)
    return graph.add("Mul", value, graph.add("Sigmoid", value))


def _c2f(graph: Export, value: str, source: int, target: int, blocks: int, *, is_residual: bool = False) -> str:
    half = target // 2
    parts = graph.split(_conv(graph, value, source, target, 1), [half, half])
    for _ in range(blocks):
        inside = _conv(graph, _conv(graph, parts[-1], half, half), half, half)
        parts.append(graph.add("Add", parts[-1], inside) if is_residual else inside)
    return _conv(graph, graph.add("Concat", *parts, axis=1), half * len(parts), target, 1)


def _pyramid(graph: Export, value: str) -> str:
    parts = [_conv(graph, value, 256, 128, 1)]
    for _ in range(3):
        parts.append(graph.pool(parts[-1], 5, stride=1, pad=2))
    return _conv(graph, graph.add("Concat", *parts, axis=1), 512, 256, 1)


def _head(graph: Export, value: str, width: int) -> str:
    parts = []
    for inner, target in ((4 * _BINS, 4 * _BINS), (_CLASSES, _CLASSES)):
        inside = _conv(graph, _conv(graph, value, width, inner), inner, inner)
        parts.append(graph.conv(inside, inner, target, 1))
    return graph.reshape(graph.add("Concat", *parts, axis=1), 1, 4 * _BINS + _CLASSES, -1)


def _decode(graph: Export, levels: str) -> str:
    """Append boxes as centre and size in pixels, and scores, from every cell's bins and logits."""
    cells, strides = [], []
    for stride in _STRIDES:
        side = _SIDE // stride
        cells.append(np.stack(np.meshgrid(np.arange(side), np.arange(side))).reshape(1, 2, -1) + 0.5)
        strides.append(np.full((1, side * side), float(stride)))
    anchors, scale = np.concatenate(cells, 2), np.concatenate(strides, 1)

    bins, logits = graph.split(levels, [4 * _BINS, _CLASSES])
    table = graph.add("Transpose", graph.reshape(bins, 1, 4, _BINS, anchors.shape[2]), perm=[0, 2, 1, 3])
    numbers = np.arange(float(_BINS))[None, :, None, None]
    sides = graph.reshape(graph.add("Conv", graph.add("Softmax", table, axis=1), numbers), 1, 4, anchors.shape[2])
    count = graph.add("Gather", graph.add("Shape", sides), np.array([1]), axis=0)
    half = graph.add("Div", graph.add("Add", count, np.array([1])), np.array([2]))
    first, whole = (graph.add("Mul", half, np.array([part])) for part in (1, 2))
    near = graph.add("Slice", sides, np.array([0]), first, np.array([1]))
    far = graph.add("Slice", sides, first, whole, np.array([1]))
    low, high = graph.add("Sub", anchors, near), graph.add("Add", anchors, far)
    centre = graph.add("Div", graph.add("Add", low, high), np.array(2.0))
    boxes = graph.add("Mul", graph.add("Concat", centre, graph.add("Sub", high, low), axis=1), scale)
    return graph.add("Concat", boxes, graph.add("Sigmoid", logits), axis=1)
