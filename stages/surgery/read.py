"""Read an ONNX file from anywhere: whole, sound and bounded, or refused in a line that names the fault."""

import hashlib
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import ModelError
from stages.surgery.external import external_files, take_in
from stages.surgery.label import words_of
from stages.surgery.order import put_in_order
from stages.surgery.sound import check_sound
from stages.surgery.tensors import MODEL_BYTES
from stages.surgery.wire import check_wire


def read_model(path: Path) -> onnx.ModelProto:
    """Read a model with the weights that lie beside it.

    Raises:
        ModelError: It isn't a sound one; names the node or the tensor.
        OSError: It can't be read.
    """
    try:
        model = _parsed(path)
        take_in(model, path.parent)
        put_in_order(model.graph)
        check_sound(model)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return model


def digest_of_model(path: Path) -> Digest:
    """Return the digest of a model: its file's, or with external weights one of every file's name and digest.

    Raises:
        ModelError: It isn't an ONNX file, or its weights aren't beside it.
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
        raise ModelError(f"expected a valid ONNX model, seen {words_of(error)}; fetch it again") from None
