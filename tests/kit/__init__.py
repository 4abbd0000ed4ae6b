"""Tests of the built-in models, and the photo that they are tried on."""

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import skimage.data
from onnxruntime.transformers.float16 import convert_float_to_float16

from stages.kit.graph import Floats
from stages.kit.mean_face import similarity

Array = npt.NDArray[np.float32]
Shapes = dict[str, list[int | str]]

# What the SCRFD of `det_10g` finds in scikit-image's astronaut, in pixels.
BOX = np.array([180.8, 55.7, 271.0, 178.4])
POINTS5: Floats = np.array([[204.4, 100.8], [247.3, 103.1], [223.5, 128.4], [201.2, 138.5], [246.5, 140.6]])


def astronaut() -> npt.NDArray[np.uint8]:
    """Return the photo, (512, 512, 3) RGB."""
    return np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def crop(template: Floats, side: int) -> Array:
    """Return the astronaut's face in a template's crop, (side, side, 3) RGB, 0..1."""
    return cut(similarity(POINTS5, template * side), side)


def cut(affine: Floats, side: int) -> Array:
    """Return what an affine maps from the photo into a square, (side, side, 3) RGB, 0..1."""
    face = cv2.warpAffine(astronaut(), affine, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return (face / 255).astype(np.float32)


def planes(image: npt.NDArray[np.floating]) -> Array:
    """Return (1, 3, H, W) of an (H, W, 3) image."""
    return image.transpose(2, 0, 1)[None].astype(np.float32)


def run(model: onnx.ModelProto, value: npt.NDArray[np.generic]) -> list[Array]:
    """Return a model's outputs for its only input."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs: list[Array] = session.run(None, {session.get_inputs()[0].name: value.astype(np.float32)})
    return outputs


def half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model in half precision, float32 outside."""
    converted: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True)
    return converted


def cosine(first: Array, second: Array) -> float:
    """Return the cosine between two arrays as vectors."""
    return float(np.vdot(first, second) / np.linalg.norm(first) / np.linalg.norm(second))


def contract(model: onnx.ModelProto) -> tuple[Shapes, Shapes]:
    """Return the shapes of inputs and outputs by name; a string is a dynamic axis."""

    def shapes(values: list[onnx.ValueInfoProto]) -> Shapes:
        return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}

    return shapes(list(model.graph.input)), shapes(list(model.graph.output))


def serialized(model: onnx.ModelProto) -> bytes:
    """Return a model's file."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data
