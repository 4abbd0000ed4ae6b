"""An embedder of full size: InsightFace's IResNet50 as torch exports it."""

import onnx

from bench.full_size.export import Export

_STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))  # channels, blocks


def iresnet50(name: str) -> onnx.ModelProto:
    """Build 43.6 M parameters: ``input.1`` (N, 3, 112, 112) to ``683`` (N, 512)."""
    graph = Export(name, opset=11)
    value = _prelu(graph, graph.conv(graph.input("input.1", ["None", 3, 112, 112]), 3, 64), 64)
    source = 64
    for width, blocks in _STAGES:
        for block in range(blocks):
            stride = 1 if block else 2
            inside = _prelu(graph, graph.conv(graph.batch_norm(value, source), source, width), width)
            inside = graph.conv(inside, width, width, stride=stride, gain=0.3)
            value = value if block else graph.conv(value, source, width, 1, stride=stride, gain=0.7)
            value, source = graph.add("Add", inside, value), width
    value = graph.add("Flatten", graph.batch_norm(value, source), axis=1)
    embedding = graph.batch_norm(graph.gemm(value, source * 7 * 7, 512), 512)
    graph.output(embedding, "683", ["None", 512])
    return graph.model()


def _prelu(graph: Export, value: str, channels: int) -> str:
    return graph.add("PRelu", value, graph.vector(channels, 1, 1, mean=0.25))
