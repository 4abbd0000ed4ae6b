"""Read an untrusted ONNX file: complete, valid and bounded in size, or refused in one line that names the fault.

What exporters write in several ways is then written in one: functions are inlined, weights are no inputs, constants are
dense, and nodes don't train. Weights stay in their files.
"""

import hashlib
from mmap import ACCESS_READ, mmap
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import ModelError
from morphstream.artifact.regular_file import open_regular
from stages.surgery.external import external_files, locate_weights
from stages.surgery.functions import inline_functions
from stages.surgery.inference import to_inference
from stages.surgery.label import error_line
from stages.surgery.nodes import replace_all
from stages.surgery.order import sort_nodes
from stages.surgery.sound import check_sound
from stages.surgery.sparse import to_dense
from stages.surgery.tensors import MODEL_BYTES
from stages.surgery.versions import check_versions, to_readable
from stages.surgery.wire import check_wire, without_weights

_WEIGHTS_ALONE = 4  # the first IR version whose weights need not be inputs


def read_model(path: Path) -> onnx.ModelProto:
    """Read a model; its weights are those of stages.surgery.weights."""
    model = read_exported(path)
    try:
        return to_readable(to_inference(model))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def read_exported(path: Path) -> onnx.ModelProto:
    """Read a model as `read_model` does, but in the mode, the opset and the IR version that it was exported in."""
    try:
        model = _parsed(path)
        check_versions(model)
        model = inline_functions(model)
        locate_weights(model, path)
        model = to_dense(model)
        _without_repeats(model)
        sort_nodes(model.graph)
        check_sound(model)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return model


def digest_of_model(path: Path) -> Digest:
    """Return the digest of a model: its file's, or with external weights one over every file's name and digest."""
    try:
        files = external_files(_parsed(path), path)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    digest = digest_of_file(path)
    if not files:
        return digest
    sha256, size = hashlib.sha256(str(digest).encode()), digest.bytes
    for name, file in sorted(files.items()):
        digest = digest_of_file(file)
        sha256.update(f"\n{name}\0{digest}".encode())
        size += digest.bytes
    return Digest(sha256.hexdigest(), size)


def _parsed(path: Path) -> onnx.ModelProto:
    """Parse a file without its weights, without what belongs to training, and with ONNX's own domain under one name."""
    if (size := path.stat().st_size) > MODEL_BYTES:
        raise ModelError(f"expected at most {MODEL_BYTES} bytes, seen {size}; export its weights as external data")
    if not size:
        raise ModelError("expected a valid ONNX model, seen an empty file; fetch it again")
    with open_regular(path) as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        check_wire(data, onnx.ModelProto.DESCRIPTOR)
        light = without_weights(data, onnx.ModelProto.DESCRIPTOR, path.name)
    try:
        model = onnx.load_model_from_string(light)
    except DecodeError as error:
        raise ModelError(f"expected a valid ONNX model, seen {error_line(error)}; fetch it again") from None
    model.ClearField("training_info")
    model.graph.ClearField("quantization_annotation")
    return model


def _without_repeats(model: onnx.ModelProto) -> None:
    """Remove what a graph lists twice: weights among its inputs, and outputs of one name; modifies the model."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    if any(value.name in constants for value in graph.input):
        replace_all(graph.input, [value for value in graph.input if value.name not in constants])
        model.ir_version = max(model.ir_version, _WEIGHTS_ALONE)
    outputs: dict[str, onnx.ValueInfoProto] = {}
    for value in graph.output:
        outputs.setdefault(value.name, value)
    if len(outputs) < len(graph.output):
        replace_all(graph.output, outputs.values())
