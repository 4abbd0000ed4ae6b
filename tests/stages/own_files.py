"""Models as a person has them: of the kit's shapes with other weights, in one file or in several."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from tests.stages import loaded


def own_model(name: str, seed: int = 1) -> onnx.ModelProto:
    """Return a model of the kit whose weights are slightly others."""
    model, random = loaded(name), np.random.default_rng(seed)
    for tensor in model.graph.initializer:
        if tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16) and np.prod(tensor.dims) > 64:
            values = numpy_helper.to_array(tensor)
            noise = 1 + 0.001 * random.standard_normal(values.shape)
            tensor.CopyFrom(numpy_helper.from_array((values * noise).astype(values.dtype), tensor.name))
    model.producer_name = "somebody"
    return model


def write_own(path: Path, name: str, seed: int = 1) -> bytes:
    """Write such a model in one file, and return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data: bytes = own_model(name, seed).SerializeToString(deterministic=True)
    path.write_bytes(data)
    return data


def write_in_parts(path: Path, name: str, weights: str) -> None:
    """Write such a model with its weights in a file of their own, whose path is in the model's folder."""
    (path.parent / weights).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(own_model(name), path, save_as_external_data=True, location=weights, size_threshold=64)
