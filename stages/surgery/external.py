"""External weights of an ONNX file: files in the model's folder, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import TensorProto, external_data_helper

from stages.surgery.label import one_line
from stages.surgery.tensors import MODEL_BYTES, bytes_of, refused_tensor, tensors_of


def external_files(model: onnx.ModelProto, folder: Path) -> dict[str, Path]:
    """Return the files that hold a model's external weights, by their location in the model."""
    return {_location(tensor): _inside(tensor, folder) for tensor in _external(model)}


def read_external(model: onnx.ModelProto, folder: Path) -> None:
    """Read a model's external weights into the model, which is modified."""
    total = 0
    for tensor in _external(model):
        path, size, offset = _inside(tensor, folder), bytes_of(tensor), _number(tensor, "offset")
        total += size
        length = _number(tensor, "length", size)
        if length != size or offset + size > path.stat().st_size or total > MODEL_BYTES:
            raise refused_tensor(
                tensor,
                f"{size} bytes at byte {offset} of {one_line(path.name)}, {MODEL_BYTES} in all",
                f"{length} bytes of a file of {path.stat().st_size}, {total} so far",
            )
        with path.open("rb") as file:
            file.seek(offset)
            tensor.raw_data = file.read(size)
        del tensor.external_data[:]
        tensor.ClearField("data_location")


def _external(model: onnx.ModelProto) -> Iterator[TensorProto]:
    return (tensor for tensor in tensors_of(model.graph) if external_data_helper.uses_external_data(tensor))


def _location(tensor: TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _number(tensor: TensorProto, key: str, default: int = 0) -> int:
    text = next((entry.value for entry in tensor.external_data if entry.key == key), str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise refused_tensor(tensor, f"a number for {key}", one_line(text))
    return int(text)


def _inside(tensor: TensorProto, folder: Path) -> Path:
    """Return the file of an external weight: a regular file inside the folder, links resolved."""
    location = _location(tensor)
    if not location or not location.isprintable() or Path(location).is_absolute() or ".." in Path(location).parts:
        raise refused_tensor(tensor, "its data in the model's folder", one_line(location) or "no location")
    path = folder / location
    if not path.resolve().is_relative_to(folder.resolve()):
        raise refused_tensor(tensor, "its data in the model's folder", f"{one_line(location)}, a link out of it")
    if not path.is_file():
        raise refused_tensor(tensor, f"the file {one_line(location)} in the model's folder", "none")
    return path
