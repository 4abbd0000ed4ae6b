"""A detector of full size: SCRFD-10G with five points as InsightFace exports it, without a batch axis in its outputs.

Source: Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", and its configuration.
"""

import numpy as np
import onnx

from bench.full_size.export import Export

_STAGES = ((56, 3), (88, 4), (88, 2), (224, 3))  # channels, blocks
_NECK, _HEAD, _ANCHORS = 56, 80, 2
_OUTPUTS = {"score": (1, ("448", "471", "494")), "bbox": (4, ("451", "474", "497")), "kps": (10, ("454", "477", "500"))}


def scrfd(name: str) -> onnx.ModelProto:
    """Build 4.2 M parameters: ``input.1`` (1, 3, ?, ?) to nine outputs, those of 640 pixels a side."""
    graph = Export(name, opset=11)
    levels = _neck(graph, _backbone(graph, graph.input("input.1", [1, 3, "?", "?"])))
    values = {}
    for level, value in enumerate(levels):
        for layer in range(3):
            value = graph.relu_conv(value, _HEAD if layer else _NECK, _HEAD)
        for role, (width, names) in _OUTPUTS.items():
            flat = graph.conv(value, _HEAD, _ANCHORS * width, gain=0.5)
            flat = graph.add("Mul", flat, np.array(1.1)) if role == "bbox" else flat
            flat = graph.reshape(graph.add("Transpose", flat, perm=[2, 3, 0, 1]), -1, width)
            values[names[level]] = graph.add("Sigmoid", flat) if role == "score" else flat
    for width, names in _OUTPUTS.values():
        for level, output in enumerate(names):
            graph.output(values[output], output, [_ANCHORS * (80 >> level) ** 2, width])
    return graph.model()


def _backbone(graph: Export, value: str) -> list[str]:
    """Append ResNetV1e: a deep stem, and an average pool before every shortcut with a stride."""
    for source, width, stride in ((3, 28, 2), (28, 28, 1), (28, 56, 1)):
        value = graph.relu_conv(value, source, width, stride=stride)
    value, source, stages = graph.pool(value, 3, pad=1), 56, []
    for stage, (width, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inside = graph.conv(graph.relu_conv(value, source, width, stride=stride), width, width, gain=0.3)
            if stride == 2:
                value = graph.conv(graph.pool(value, 2, kind="Average"), source, width, 1, gain=0.7)
            value, source = graph.add("Relu", graph.add("Add", inside, value)), width
        stages.append(value)
    return stages[1:]


def _neck(graph: Export, stages: list[str]) -> list[str]:
    """Append PAFPN: from coarse to fine and back."""
    widths = [width for width, _ in _STAGES[1:]]
    fine, middle, coarse = (graph.conv(v, width, _NECK, 1, gain=0.7) for v, width in zip(stages, widths, strict=True))
    middle = graph.add("Add", middle, graph.resize_like(coarse, middle))
    fine = graph.add("Add", fine, graph.resize_like(middle, fine))
    fine, middle, coarse = (graph.conv(value, _NECK, _NECK, gain=0.7) for value in (fine, middle, coarse))
    middle = graph.add("Add", middle, graph.conv(fine, _NECK, _NECK, stride=2, gain=0.7))
    coarse = graph.add("Add", coarse, graph.conv(middle, _NECK, _NECK, stride=2, gain=0.7))
    return [fine, *(graph.conv(value, _NECK, _NECK, gain=0.7) for value in (middle, coarse))]
