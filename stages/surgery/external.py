"""External weights of an ONNX file: in its own bytes or in files of its folder, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import TensorProto

from morphstream.artifact.regular_file import real_path
from stages.surgery.label import one_line
from stages.surgery.tensors import MODEL_BYTES, bytes_of, refused_tensor, tensors_of
from stages.surgery.weights import is_stored, is_weight, load, store


def external_files(model: onnx.ModelProto, path: Path) -> dict[str, Path]:
    """Return the files beside a model's own that hold its external weights, by their location in the model."""
    files = {_location(tensor): _inside(tensor, path) for tensor in _external(model)}
    return {location: file for location, file in files.items() if location != path.name}


def locate_weights(model: onnx.ModelProto, path: Path) -> None:
    """Find a model's external weights; modifies the model.

    What is small, or is no initializer, is read into it.
    """
    total, initializers = 0, len(model.graph.initializer)
    for place, tensor in enumerate(tensors_of(model.graph)):  # the graph's own initializers first
        if not is_stored(tensor):
            continue
        file, size, offset = _inside(tensor, path), bytes_of(tensor), _number(tensor, "offset")
        total += size
        length = _number(tensor, "length", size)
        if file == path and length != size:
            raise refused_tensor(tensor, f"{size} bytes for its dims {list(tensor.dims)[:8]}", f"{length}")
        if length != size or offset + size > file.stat().st_size or total > MODEL_BYTES:
            raise refused_tensor(
                tensor,
                f"{size} bytes at byte {offset} of {one_line(file.name)}, {MODEL_BYTES} in all",
                f"{length} bytes of a file of {file.stat().st_size}, {total} so far",
            )
        store(tensor, file, offset)
        if place >= initializers or not is_weight(tensor):
            load(tensor)


def _external(model: onnx.ModelProto) -> Iterator[TensorProto]:
    return filter(is_stored, tensors_of(model.graph))


def _location(tensor: TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _number(tensor: TensorProto, key: str, default: int = 0) -> int:
    text = next((entry.value for entry in tensor.external_data if entry.key == key), str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise refused_tensor(tensor, f"a number for {key}", one_line(text))
    return int(text)


def _inside(tensor: TensorProto, path: Path) -> Path:
    """Return the file of an external weight: the model's own, or a regular file of its folder.

    A link out of the folder is followed where the model itself is a link, as in a cache of downloads.
    """
    location, folder = _location(tensor), path.parent
    if location == path.name:
        return path
    if not location or not location.isprintable() or Path(location).is_absolute() or ".." in Path(location).parts:
        raise refused_tensor(tensor, "its data in the model's folder", one_line(location or "no location"))
    file = folder / location
    if not path.is_symlink() and not real_path(file).is_relative_to(folder.resolve()):
        raise refused_tensor(tensor, "its data in the model's folder", f"{one_line(location)}, a link out of it")
    if not file.is_file():
        raise refused_tensor(tensor, f"the file {one_line(location)} in the model's folder", "none")
    return file
