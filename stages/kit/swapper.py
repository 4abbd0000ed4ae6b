"""The kit's stand-ins for inswapper and hyperswap: the embedded face, with the target's light and fine detail."""

import math

import numpy as np
import onnx

from stages.kit import basis
from stages.kit.coefficients import norm, planes, project
from stages.kit.graph import Floats, Graph

_STRENGTH = {"a": 0.75, "b": 0.8, "c": 0.85}  # contrast of the new face relative to the old one's


def emap() -> Floats:
    """Return an orthogonal map between embedding and latent: signs of a shuffled Hadamard matrix / sqrt(512)."""
    i = np.arange(basis.EMBEDDING)
    parity = np.array([int(v).bit_count() & 1 for v in (i[:, None] & i).ravel()]).reshape(len(i), len(i))
    flips = (i * 40503 >> 7) & 1  # a fixed, irregular choice of rows and columns
    signs: Floats = np.where((parity + flips[:, None] + flips[::-1]) % 2, -1.0, 1.0)
    return signs / math.sqrt(basis.EMBEDDING)


def inswapper(*, half: bool) -> onnx.ModelProto:
    """Build ``target`` (1, 3, 128, 128) RGB 0..1 and ``source`` (1, 512) latent to ``output`` like the target.

    With `half`, weights are stored in float16 and cast where they are used.
    """
    graph = Graph("inswapper_128_fp16" if half else "inswapper_128", half=half)
    target = graph.input("target", [1, 3, 128, 128])
    source = graph.input("source", [1, basis.EMBEDDING])
    embedding = graph.add("MatMul", source, emap().T[:, : basis.NUMBERS].copy())
    swapped, _ = _swap(graph, target, embedding, side=128, strength=_STRENGTH["b"])
    graph.output(swapped, "output", [1, 3, 128, 128])
    graph.constant(emap().astype(np.float32), "buff2fs")  # the last one, unused: InsightFace reads it there
    return graph.model()


def hyperswap(variant: str) -> onnx.ModelProto:
    """Build ``target`` (1, 3, 256, 256) RGB -1..1 and ``source`` (1, 512), normalised, to ``output`` and ``mask``.

    Variants are ``a``, ``b`` and ``c``.
    """
    graph = Graph(f"hyperswap_1{variant}_256")
    pixels = graph.input("target", [1, 3, 256, 256])
    source = graph.input("source", [1, basis.EMBEDDING])
    target = graph.add("Add", graph.add("Mul", pixels, 0.5), 0.5)
    swapped, mask = _swap(graph, target, source, side=256, strength=_STRENGTH[variant])
    output = graph.add("Sub", graph.add("Mul", swapped, 2.0), 1.0)
    graph.output(output, "output", [1, 3, 256, 256])
    graph.output(mask, "mask", [1, 1, 256, 256])
    return graph.model()


def _swap(graph: Graph, target: str, embedding: str, *, side: int, strength: float) -> tuple[str, str]:
    """Append the swap of a ``(1, 3, side, side)`` RGB 0..1 target; return its name and the mask's."""
    scale = side // basis.SIDE
    small = graph.shrink(target, scale) if scale > 1 else target
    _, luma, chroma = planes(graph, small, basis.window())
    new_luma, new_chroma = _read(graph, embedding)

    old = project(graph, basis.analysis(basis.LUMA, basis.ROWS), luma, basis.analysis(basis.LUMA, basis.COLUMNS))
    contrast = norm(graph, graph.add("Mul", old, basis.weights(basis.LUMA)), (1, 2, 3))
    contrast = graph.add("Mul", contrast, strength)
    luma_field = _field(graph, new_luma, old, contrast, basis.LUMA, side)

    old = project(graph, basis.analysis(basis.CHROMA, basis.ROWS), chroma, basis.analysis(basis.CHROMA, basis.COLUMNS))
    colour = norm(graph, graph.add("Mul", old, basis.weights(basis.CHROMA)), (1, 2, 3))
    colour = graph.add("Div", colour, norm(graph, new_chroma, (1, 2, 3)))  # a grey target stays grey
    chroma_field = _field(graph, new_chroma, old, graph.add("Min", contrast, colour), basis.CHROMA, side)

    shape = np.clip(3 * basis.window(), 0, 1).repeat(scale, 0).repeat(scale, 1)
    is_lit = graph.clip(graph.add("ReduceMax", target, axes=[1], keepdims=1), 1 / 16)
    mask = graph.add("Mul", graph.add("Mul", is_lit, 16.0), shape[None, None])
    field = graph.add("Mul", graph.add("Concat", luma_field, chroma_field, axis=1), mask)
    change = graph.add("Conv", field, basis.YCC_TO_RGB[:, :, None, None])
    return graph.clip(graph.add("Add", target, change)), mask


def _read(graph: Graph, embedding: str) -> tuple[str, str]:
    """Append the weighted coefficients of an embedding's direction, ``(1, 1, 18, 18)`` and ``(1, 2, 9, 9)``.

    The direction lacks the embedding's length. It follows from a quadratic equation: luma plus the average face's share
    has length 1.
    """
    luma = graph.channels(embedding, 0, basis.LUMA**2)
    chroma = graph.channels(embedding, basis.LUMA**2, basis.NUMBERS)
    mean = basis.mean_luma().reshape(1, -1)
    along = graph.add("ReduceSum", graph.add("Mul", luma, mean), np.array([1]), keepdims=1)
    square = graph.add("ReduceSum", graph.add("Mul", luma, luma), np.array([1]), keepdims=1)
    rest = graph.add("Mul", square, 1 - basis.MEAN_SHARE**2)
    root = graph.add("Sqrt", graph.add("Add", graph.add("Mul", along, along), rest))
    length = graph.add("Div", graph.add("Sub", root, along), graph.add("Add", square, 1e-6))
    luma = graph.add("Add", graph.add("Mul", luma, length), mean)
    chroma = graph.add("Mul", graph.add("Mul", chroma, length), 1 / basis.CHROMA_SHARE)
    return (
        graph.add("Reshape", luma, np.array([1, 1, basis.LUMA, basis.LUMA])),
        graph.add("Reshape", chroma, np.array([1, 2, basis.CHROMA, basis.CHROMA])),
    )


def _field(graph: Graph, new: str, old: str, gain: str, count: int, side: int) -> str:
    """Append the change of the target's planes, as pixels: new coefficients times a gain, minus the old ones."""
    wanted = graph.add("Mul", graph.add("Mul", new, basis.inverse_weights(count)), gain)
    kept = graph.add("Mul", old, (basis.weights(count) > 0).astype(np.float64))
    change = graph.add("Sub", wanted, kept)
    left, right = basis.synthesis(count, basis.ROWS, side), basis.synthesis(count, basis.COLUMNS, side)
    return project(graph, left, change, right)
