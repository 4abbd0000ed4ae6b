"""What people do to an exported file before they bring it, each as a function from a file to a file.

Runs in the environment with torch.
"""
# mypy: ignore-errors
# ruff: noqa: D102 - methods that a library calls

from pathlib import Path

import numpy as np
import onnx
import onnxconverter_common
import onnxruntime
import onnxsim
import onnxslim
from onnx import helper, numpy_helper, version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.transformers import float16


def simplified(source, path):
    model, is_same = onnxsim.simplify(onnx.load(source))
    assert is_same
    onnx.save(model, path)


def slimmed(source, path):
    onnx.save(onnxslim.slim(onnx.load(source)), path)


def optimised(level):
    def run(source, path):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.optimized_model_filepath = path
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    return run


def halved_by_common(source, path):
    onnx.save(onnxconverter_common.float16.convert_float_to_float16(onnx.load(source)), path)


def halved_inside(source, path):
    onnx.save(onnxconverter_common.float16.convert_float_to_float16(onnx.load(source), keep_io_types=True), path)


def halved_by_onnxruntime(source, path):
    onnx.save(float16.convert_float_to_float16(onnx.load(source), keep_io_types=True), path)


def newest(source, path):
    model = version_converter.convert_version(onnx.load(source), onnx.defs.onnx_opset_version())
    model.ir_version = onnx.IR_VERSION
    onnx.save(model, path)


def external(source, path):
    onnx.save(onnx.load(source), path, save_as_external_data=True, location=f"{Path(path).name}.data", size_threshold=0)


def inputs_of_weights(source, path):
    model = onnx.load(source)
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    onnx.save(model, path)


def sparse(source, path):
    """Store the weights that are large as sparse ones."""
    model = onnx.load(source)
    kept = []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and 512 < array.size < 100_000 and tensor.name != "buff2fs":
            (places,) = np.nonzero(array.ravel())
            values = numpy_helper.from_array(array.ravel()[places], tensor.name)
            indices = numpy_helper.from_array(places.astype(np.int64), "places")
            model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, array.shape))
        else:
            kept.append(tensor)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.save(model, path)


class Random(CalibrationDataReader):
    """A few random inputs, to choose the ranges of quantised numbers by."""

    def __init__(self, source):
        self.inputs = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in onnx.load(source).graph.input
        }
        self.left = 2

    def get_next(self):
        self.left -= 1
        if self.left < 0:
            return None
        random = np.random.default_rng(self.left)
        return {key: random.random(shape, np.float32) for key, shape in self.inputs.items()}


def quantised(source, path):
    types = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    symmetric = {"ActivationSymmetric": True, "WeightSymmetric": True}
    quantize_static(source, path, Random(source), quant_format=QuantFormat.QDQ, extra_options=symmetric, **types)


def quantised_as_usual(source, path):
    quantize_static(source, path, Random(source))


def quantised_dynamically(source, path):
    quantize_dynamic(source, path)


_LEVELS = onnxruntime.GraphOptimizationLevel
TOOLS = {
    "onnxsim": simplified,
    "onnxslim": slimmed,
    "ONNX Runtime, basic optimisation": optimised(_LEVELS.ORT_ENABLE_BASIC),
    "ONNX Runtime, extended optimisation": optimised(_LEVELS.ORT_ENABLE_EXTENDED),
    "ONNX Runtime, all optimisation": optimised(_LEVELS.ORT_ENABLE_ALL),
    "float16 of onnxconverter-common": halved_by_common,
    "float16 of onnxconverter-common, keep_io_types": halved_inside,
    "float16 of onnxruntime.transformers, keep_io_types": halved_by_onnxruntime,
    "onnx.version_converter, to the newest opset and IR": newest,
    "external data": external,
    "weights as inputs, IR 3": inputs_of_weights,
    "sparse initializers": sparse,
    "int8 QDQ of onnxruntime.quantization": quantised,
    "uint8 QDQ of onnxruntime.quantization, its defaults": quantised_as_usual,
    "dynamic int8 of onnxruntime.quantization": quantised_dynamically,
}
