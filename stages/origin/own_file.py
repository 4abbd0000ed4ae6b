"""A model's file as a person has it, linked or in parts, and the same as one plain file."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import external_data_helper

from morphstream.artifact.digest import CHUNK_BYTES, Digest, digest_of_file
from morphstream.artifact.errors import DigestMismatchError, ModelError
from morphstream.artifact.regular_file import open_regular
from morphstream.artifact.staged import scratch_folder, staged_file
from stages.surgery.label import error_line, one_line
from stages.surgery.tensors import MODEL_BYTES, tensors_of

_LOCATION = b"\x0a\x08location\x12"  # as Protocol Buffers write the key that every external weight has


@contextmanager
def whole_file(source: Path, scratch: Path) -> Iterator[Path]:
    """Give a file with the whole of a model: its own, or a new one in `scratch`, where its external weights are inside.

    Raises:
        ModelError: It is no regular file, is too large, or its external weights aren't files in its folder.
        OSError: It can't be read.
    """
    if not _may_be_external(source) or not _read_external(model := _parsed(source), source):
        yield source
        return
    try:
        data = model.SerializeToString(deterministic=True)
    except EncodeError as error:
        raise _refused(source, f"at most {MODEL_BYTES} bytes with its external weights", error_line(error)) from None
    with scratch_folder(scratch / "joined") as folder:
        part = folder / source.name
        part.write_bytes(data)
        del data, model
        yield part


def copy_verified(source: Path, target: Path, expected: Digest) -> None:
    """Copy a file to its place as a plain file, once its bytes are known to be the expected ones."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with staged_file(target) as copy:
        if (observed := _copy(source, copy)) != expected:
            raise DigestMismatchError(str(source), expected, observed)


def digest_of_own(path: Path) -> Digest:
    """Return the digest of a regular file."""
    open_model(path).close()
    return digest_of_file(path)


def open_model(path: Path) -> BinaryIO:
    """Open a file of a model's size, links followed; another is refused, without waiting for what isn't regular."""
    try:
        file = open_regular(path)
    except OSError as error:
        raise _refused(path, "a regular file to read", f"{error.strerror}") from None
    if 0 < (size := os.fstat(file.fileno()).st_size) <= MODEL_BYTES:
        return file
    file.close()
    raise _refused(path, f"a regular file of 1 to {MODEL_BYTES} bytes", f"{size} bytes")


def _copy(source: Path, copy: BinaryIO) -> Digest:
    """Copy as much of a file as it has now, in memory of a chunk, and return the digest."""
    sha256, size = hashlib.sha256(), 0
    with open_model(source) as file:
        most = os.fstat(file.fileno()).st_size
        while data := file.read(min(CHUNK_BYTES, most - size)):
            sha256.update(data)
            copy.write(data)
            size += len(data)
    return Digest(sha256.hexdigest(), size)


def _may_be_external(source: Path) -> bool:
    """Return whether a model may have external weights, so that another needn't be parsed."""
    with open_model(source) as file:
        tail = b""
        while data := file.read(CHUNK_BYTES):
            if _LOCATION in tail + data:
                return True
            tail = data[1 - len(_LOCATION) :]
    return False


def _parsed(source: Path) -> onnx.ModelProto:
    try:
        return onnx.load_model_from_string(source.read_bytes())
    except DecodeError as error:
        raise _refused(source, "a valid ONNX model", error_line(error)) from None


def _read_external(model: onnx.ModelProto, source: Path) -> bool:
    """Read external weights, if any, into the model, which is modified; links are followed, which onnx refuses."""
    tensors = [one for one in tensors_of(model.graph) if external_data_helper.uses_external_data(one)]
    places = [_place_of(tensor, source) for tensor in tensors]
    if (total := sum(length for _, _, length in places)) > MODEL_BYTES:
        raise _refused(source, f"at most {MODEL_BYTES} bytes of external weights", str(total))
    for tensor, (path, offset, length) in zip(tensors, places, strict=True):
        with open_model(path) as file:
            file.seek(offset)
            tensor.raw_data = file.read(length)
        if len(tensor.raw_data) != length:
            raise _refused(source, f"{length} bytes at byte {offset} of {one_line(path.name)}", "fewer")
        del tensor.external_data[:]
        tensor.ClearField("data_location")
    return bool(tensors)


def _place_of(tensor: onnx.TensorProto, source: Path) -> tuple[Path, int, int]:
    """Return the file of an external weight, and where in it the weight begins and how long it is."""
    found = {entry.key: entry.value for entry in tensor.external_data}
    path, offset = source.parent / _checked(source, found.get("location", "")), _number(source, found, "offset", 0)
    with open_model(path) as file:
        rest = max(os.fstat(file.fileno()).st_size - offset, 0)
    return path, offset, _number(source, found, "length", rest)


def _number(source: Path, found: Mapping[str, str], key: str, default: int) -> int:
    text = found.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _refused(source, f"a number for {key} of external weights", one_line(text))
    return int(text)


def _checked(source: Path, location: str) -> Path:
    """Return the location of external weights, a path inside the model's folder."""
    path = Path(location)
    if not location.isprintable() or path == Path() or path.is_absolute() or ".." in path.parts:
        raise _refused(source, "external weights in its folder", one_line(location or "no location"))
    if not (source.parent / path).exists():
        raise _refused(source, f"its external weights {one_line(location)} beside it", "none")
    return path


def _refused(path: Path, expected: str, seen: str) -> ModelError:
    return ModelError(f"{path}: expected {expected}, seen {seen}; export or download it again")
