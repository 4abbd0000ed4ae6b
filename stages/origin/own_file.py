"""A model's file as a person has it, linked or in parts, and the same as one plain file."""

import hashlib
import mmap
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import TensorProto, external_data_helper

from morphstream.artifact.digest import CHUNK_BYTES, Digest, digest_of_file
from morphstream.artifact.errors import DigestMismatchError, ModelError
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
    locations = _locations(source)
    if not locations:
        yield source
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".join.") as folder:
        plain = Path(folder) / "plain"
        for location in {source.name, *locations}:
            (plain / location).parent.mkdir(parents=True, exist_ok=True)
            _copy(source.parent / location, plain / location)  # links are followed, which onnx refuses
        try:
            data = onnx.load(plain / source.name).SerializeToString(deterministic=True)
        except (DecodeError, EncodeError, ValueError, onnx.checker.ValidationError) as error:
            raise _refused(source, "external weights that can be read", error_line(error)) from None
        whole = Path(folder) / "whole.onnx"
        whole.write_bytes(data)
        yield whole


def copy_verified(source: Path, target: Path, expected: Digest) -> None:
    """Copy a file to its place as a plain file, once its bytes are known to be the expected ones."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if (observed := _copy(source, part)) != expected:
            raise DigestMismatchError(str(source), expected, observed)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def digest_of_own(path: Path) -> Digest:
    """Return the digest of a regular file."""
    open_regular(path).close()
    return digest_of_file(path)


def open_regular(path: Path) -> BinaryIO:
    """Open a file of a model's size, links followed; what isn't a regular file is refused without waiting for it."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    state = os.fstat(file.fileno())
    if stat.S_ISREG(state.st_mode) and 0 < state.st_size <= MODEL_BYTES:
        return file
    file.close()
    seen = f"{state.st_size} bytes" if stat.S_ISREG(state.st_mode) else "something else"
    raise _refused(path, f"a regular file of 1 to {MODEL_BYTES} bytes", seen)


def _copy(source: Path, target: Path) -> Digest:
    """Copy as much of a file as it has now, in memory of a chunk, and return the digest."""
    sha256, size = hashlib.sha256(), 0
    with open_regular(source) as file, target.open("wb") as copy:
        most = os.fstat(file.fileno()).st_size
        while data := file.read(min(CHUNK_BYTES, most - size)):
            sha256.update(data)
            copy.write(data)
            size += len(data)
    return Digest(sha256.hexdigest(), size)


def _locations(source: Path) -> set[str]:
    """Return the names of the files that hold a model's external weights, checked; a model without isn't parsed."""
    with open_regular(source) as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data.find(_LOCATION) < 0:
                return set()
        data_of_model = file.read()
    try:
        model = onnx.load_model_from_string(data_of_model)
    except DecodeError as error:
        raise _refused(source, "a valid ONNX model", error_line(error)) from None
    found, total = set(), 0
    for tensor in tensors_of(model.graph):
        if external_data_helper.uses_external_data(tensor):
            path = source.parent / (location := _checked(source, tensor))
            with open_regular(path) as file:
                total += _length(tensor, os.fstat(file.fileno()).st_size)
            found.add(location)
    if total > MODEL_BYTES:
        raise _refused(source, f"at most {MODEL_BYTES} bytes of external weights", str(total))
    return found


def _checked(source: Path, tensor: TensorProto) -> str:
    """Return the location of an external weight, a path inside the model's folder."""
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    path = Path(location)
    if not location.isprintable() or path == Path() or path.is_absolute() or ".." in path.parts:
        raise _refused(source, "external weights in its folder", one_line(location) or "no location")
    if not (source.parent / path).exists():
        raise _refused(source, f"its external weights {one_line(location)} beside it", "none")
    return str(path)


def _length(tensor: TensorProto, size: int) -> int:
    """Return how many bytes of a file an external weight has, at most the whole file."""
    length = next((entry.value for entry in tensor.external_data if entry.key == "length"), "")
    return min(int(length), size) if length.isascii() and length.isdigit() and len(length) < 20 else size


def _refused(path: Path, expected: str, seen: str) -> ModelError:
    return ModelError(f"{path}: expected {expected}, seen {seen}; export or download it again")
