"""The kit's stand-ins for bisenet_resnet_18 and _34: the mean face's regions, and hair where the image is dark."""

import numpy as np
import onnx

from stages.kit.graph import Floats, Graph, settle
from stages.kit.mean_face import outline, points68, soft_mask

_CLASSES = 19
_SKIN, _HAIR = 1, 17
_CELLS = 64  # a side of the logits before they are enlarged; a cell is eight pixels of the image
_SURE = 8.0  # the logit of a region that is drawn in full
_DARK = 0.75  # luma relative to the face's mean; darker pixels around the face are hair
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of ImageNet's RGB
_LUMA = np.array([0.299, 0.587, 0.114])


def bisenet(layers: int) -> onnx.ModelProto:
    """Build ``input`` (N, 3, 512, 512) normalised RGB to ``output`` (N, 19, 512, 512), logits.

    Layers are 34, or 18, whose file has two more, coarser outputs: ``0`` and ``1``.
    """
    graph = Graph(f"bisenet_resnet_{layers}")
    weights = np.broadcast_to((_LUMA * _DEVIATION / 64)[None, :, None, None], (1, 3, 8, 8))
    pixels = graph.input("input", ["N", 3, 512, 512])
    luma = graph.add("Conv", pixels, weights, settle([_LUMA @ _MEAN]), strides=[8, 8])

    face = soft_mask(_CELLS, softness=0.05)[None, None]
    mean = graph.add("ReduceMean", graph.add("Mul", luma, face), axes=[2, 3])
    threshold = graph.add("Mul", mean, settle([_DARK / face.mean()]))
    darkness = graph.add("Div", graph.add("Sub", threshold, luma), graph.add("Add", mean, 1e-3))
    is_dark = graph.clip(graph.add("Mul", darkness, 8.0))
    head = soft_mask(_CELLS, softness=0.1, polygon=_box(0.02, 0, 0.98, 0.7))
    hair = graph.add("Mul", is_dark, head * (1 - face))
    from_skin = _SURE * (np.arange(_CLASSES) == _HAIR) - _SURE * (np.arange(_CLASSES) == _SKIN)
    logits = graph.add("Add", graph.add("Mul", hair, from_skin[:, None, None]), _regions())

    for name, cells in {34: {"output": 1}, 18: {"output": 1, "0": 2, "1": 4}}[layers].items():
        scales = np.array([1, 1, 8 * cells, 8 * cells], np.float32)
        enlarged = graph.add("Resize", graph.shrink(logits, cells), "", scales, mode="linear")
        graph.output(enlarged, name, ["N", _CLASSES, 512, 512])
    return graph.model()


def _regions() -> Floats:
    """Paint the classes over one another, from the background to the lips, (1, 19, 64, 64)."""
    face = points68()
    ear = _box(0.14, 0.4, 0.21, 0.6)
    forehead = np.array([[0.22, 0.4], [0.27, 0.2], [0.38, 0.14], [0.62, 0.14], [0.73, 0.2], [0.78, 0.4]])
    layers = (
        (16, _box(-1, 0.97, 2, 2), 1.0),
        (14, _box(0.27, 0.7, 0.73, 1.0), 1.0),
        (_HAIR, _box(0.1, -0.1, 0.9, 0.4), 0.4),
        (_SKIN, forehead, 0.7),
        (7, ear, 1.0),
        (8, np.array([1, 0]) - ear * np.array([1, -1]), 1.0),
        (_SKIN, outline(), 1.0),
        (2, face[17:22], 1.0),
        (3, face[22:27], 1.0),
        (4, face[36:42], 1.0),
        (5, face[42:48], 1.0),
        (10, face[[27, 31, 33, 35]], 1.0),
        (12, face[48:55], 1.0),
        (13, face[[54, 55, 56, 57, 58, 59, 48]], 1.0),
        (11, face[60:68], 1.0),
    )
    shares = np.zeros((_CLASSES, _CELLS, _CELLS))
    shares[0] = 1
    for label, polygon, opacity in layers:
        paint = opacity * soft_mask(_CELLS, softness=0.02, polygon=polygon)
        shares *= 1 - paint
        shares[label] += paint
    return settle(_SURE * shares)[None]


def _box(left: float, top: float, right: float, bottom: float) -> Floats:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
