"""Read an untrusted ONNX file: complete, valid and bounded in size, or refused in one line that names the fault."""

import hashlib
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import ModelError
from stages.surgery.external import external_files, read_external
from stages.surgery.label import error_line
from stages.surgery.order import sort_nodes
from stages.surgery.sound import check_sound
from stages.surgery.tensors import MODEL_BYTES
from stages.surgery.wire import check_wire


def read_model(path: Path) -> onnx.ModelProto:
    """Read a model with its external weights.

    Raises:
        ModelError: The model isn't valid; the message names the node or the tensor.
        OSError: A file can't be read.
    """
    try:
        model = _parsed(path)
        read_external(model, path.parent)
        sort_nodes(model.graph)
        check_sound(model)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return model


def digest_of_model(path: Path) -> Digest:
    """Return the digest of a model: its file's, or with external weights one over every file's name and digest.

    Raises:
        ModelError: It isn't an ONNX file, or its external weights are missing.
        OSError: A file can't be read.
    """
    try:
        files = external_files(_parsed(path), path.parent)
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
    if (size := path.stat().st_size) > MODEL_BYTES:
        raise ModelError(f"expected at most {MODEL_BYTES} bytes, seen {size}; export its weights as external data")
    data = path.read_bytes()
    check_wire(data, onnx.ModelProto.DESCRIPTOR)
    try:
        return onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelError(f"expected a valid ONNX model, seen {error_line(error)}; fetch it again") from None
