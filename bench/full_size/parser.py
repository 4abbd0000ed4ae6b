"""Parsers of full size: BiSeNet on ResNet-18 and on ResNet-34.

Source: Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation"; face-parsing.
"""

import onnx

from bench.full_size.export import Export

_CLASSES, _CONTEXT = 19, 128
_WIDTHS = (64, 128, 256, 512)
_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def bisenet(name: str, layers: int) -> onnx.ModelProto:
    """Build ``input`` (N, 3, 512, 512) to ``output`` (N, 19, 512, 512), logits: 13.3 M or 23.4 M parameters.

    Args:
        name: Of the model.
        layers: 34, or 18, whose file also has the auxiliary heads' outputs: ``0`` and ``1``.
    """
    graph = Export(name)
    pixels = graph.input("input", ["batch_size", 3, 512, 512])
    fine, middle, coarse = _resnet(graph, pixels, layers)[1:]

    mean = graph.add("ReduceMean", coarse, axes=[2, 3], keepdims=1)
    mean = graph.resize_like(graph.relu_conv(mean, 512, _CONTEXT, 1), coarse)
    coarse = graph.add("Add", _attend(graph, graph.relu_conv(coarse, 512, _CONTEXT)), mean)
    coarse = graph.relu_conv(graph.resize_like(coarse, middle), _CONTEXT, _CONTEXT)
    middle = graph.add("Add", _attend(graph, graph.relu_conv(middle, 256, _CONTEXT)), coarse)
    middle = graph.relu_conv(graph.resize_like(middle, fine), _CONTEXT, _CONTEXT)

    width = 2 * _CONTEXT
    fused = graph.relu_conv(graph.add("Concat", fine, middle, axis=1), width, width, 1)
    mean = graph.add("ReduceMean", fused, axes=[2, 3], keepdims=1)
    share = graph.add("Sigmoid", graph.conv(graph.relu_conv(mean, width, width // 4, 1), width // 4, width, 1))
    fused = graph.add("Add", graph.add("Mul", fused, share), fused)

    heads = {"output": (fused, width, width), "0": (middle, _CONTEXT, 64), "1": (coarse, _CONTEXT, 64)}
    for output, (value, source, inner) in heads.items():
        if output == "output" or layers == 18:
            logits = graph.conv(graph.relu_conv(value, source, inner), inner, _CLASSES, 1)
            logits = graph.resize_like(logits, pixels, mode="linear", how="align_corners")
            graph.output(logits, output, ["batch_size", _CLASSES, 512, 512])
    return graph.model()


def _resnet(graph: Export, pixels: str, layers: int) -> list[str]:
    """Append a ResNet of basic blocks; return every stage's result."""
    value, source, stages = graph.pool(graph.relu_conv(pixels, 3, 64, 7, stride=2), 3, pad=1), 64, []
    for stage, (width, blocks) in enumerate(zip(_WIDTHS, _BLOCKS[layers], strict=True)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inside = graph.conv(graph.relu_conv(value, source, width, stride=stride), width, width, gain=0.3)
            if stride == 2:
                value = graph.conv(value, source, width, 1, stride=2, gain=0.7)
            value, source = graph.add("Relu", graph.add("Add", inside, value)), width
        stages.append(value)
    return stages


def _attend(graph: Export, value: str) -> str:
    """Append channel attention."""
    mean = graph.add("ReduceMean", value, axes=[2, 3], keepdims=1)
    return graph.add("Mul", value, graph.add("Sigmoid", graph.conv(mean, _CONTEXT, _CONTEXT, 1)))
