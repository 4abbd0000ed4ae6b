"""add NAME FILE: add a model of your own, an ONNX file, beside the others.

Its inputs and outputs say which model it is like; its role, group, batches and the rest are that model's. It is written
into params.yaml, pinned, and copied into build/, and dvc.yaml is brought in line: `dvc repro` then builds it, and
`morphstream swap --swap-model NAME` uses a swapper. Where its file is later: see MORPHSTREAM_MODELS of stages.fetch.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import onnx
from onnx import TensorProto

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import ManifestError, ModelError, MorphstreamError
from morphstream.artifact.fields import required
from morphstream.artifact.regular_file import read_regular
from morphstream.cli.options import Parser
from morphstream.yaml_file import MOST_BYTES, read_object
from stages.bounds import NAME, is_name
from stages.files import write_whole
from stages.lists import pipeline_files, write_lists
from stages.origin.folder import leads_out
from stages.origin.keep import check_replaceable
from stages.origin.own_file import copy_verified, digest_of_own, whole_file
from stages.params import Model, Params, load_params
from stages.params_file import difference, edit_params
from stages.program import run_program
from stages.surgery.contract import check_contract, shape_of
from stages.surgery.emap import emap_of
from stages.surgery.read import read_model
from stages.surgery.tensors import MODEL_BYTES
from stages.workspace import Workspace

_HUB = "hub:"
_LICENCE = "unknown"
_LIKE = "name the model that it is like: --like MODEL"
_PIXELS = 4  # axes; an input for pixels may have any name


def main(workspace: Workspace) -> None:
    """Add one model, and print what was changed."""
    parser = Parser(prog="python -m stages.add", description=__doc__)
    parser.add_argument("name", help="how it will be called")
    text = f"its ONNX file, external weights beside it; or a whole one, as {_HUB}ORGANISATION/REPOSITORY/FILE@REVISION"
    parser.add_argument("file", help=text)
    parser.add_argument("--like", metavar="MODEL", help="a model of params.yaml with its role (the nearest)")
    arguments = parser.parse_args()
    if not arguments.file.startswith(_HUB):
        print(add(workspace, arguments.name, Path(arguments.file).expanduser(), arguments.like))
        return
    from stages.hub.named_file import fetch_named  # here, as the hub's client takes half a second

    name = arguments.file.removeprefix(_HUB)
    fetched = fetch_named(name, workspace.downloads / "added", most_bytes=MODEL_BYTES)
    print(add(workspace, arguments.name, fetched, arguments.like))
    fetched.unlink(missing_ok=True)  # it is in build/ now


def add(workspace: Workspace, name: str, file: Path, like: str | None = None) -> str:
    """Add a model to a workspace, and return what was changed; on any error nothing is.

    Args:
        workspace: Where.
        name: How the model will be called.
        file: Its ONNX file.
        like: The model whose role and the like it gets; None for the first with its inputs and outputs.
    """
    params = load_params(workspace.params)
    if not is_name(name):
        raise MorphstreamError(f"add: expected {NAME.words}, seen {name!r}; choose another name")
    if not file.exists():
        raise MorphstreamError(f"{file}: expected an ONNX file, seen none; name another")
    with whole_file(file, workspace.downloads) as whole:
        digest = digest_of_own(whole)
        if name in params.models:
            model, other = _same(params, name, digest), None
        else:
            model, other = nearest(original := read_model(whole), params, name, digest, like)
            emap_of(original, model)  # refuses a swapper that lost it
        with _placed(whole, model, digest, workspace):
            lines = _write(workspace, model, other) or [f"{name}: it is in params.yaml already, with this file"]
    use = f", then: morphstream swap --swap-model {name}" if model.role == "swapper" else ""
    return "\n".join([*lines, f"next: dvc repro{use}"])


def nearest(proto: onnx.ModelProto, params: Params, name: str, digest: Digest, like: str | None) -> tuple[Model, Model]:
    """Return a new model, and the one that it has role and the like of: a given one, or that with its inputs.

    Raises:
        ModelError: The file keeps no model's contract, or not that of the one it shall be like.
        ParamsError: There is no model of that name.
    """
    if like is not None:
        other = params.model(like)
        return _like(proto, other, name, digest), other
    fitting = []
    for other in params.models.values():
        with suppress(ModelError):
            model = _like(proto, other, name, digest)
            if [shape[1:] for shape in model.inputs.values()] == [shape[1:] for shape in other.inputs.values()]:
                fitting.append((model, other))
    if not fitting:
        seen = {value.name: list(shape_of(value)) for value in (*proto.graph.input, *proto.graph.output)}
        expected = "expected inputs and outputs as those of a model of params.yaml"
        raise ModelError(f"{name}: {expected}, seen {seen}; {_LIKE}")
    is_half = any(tensor.data_type == TensorProto.FLOAT16 for tensor in proto.graph.initializer)
    return max(fitting, key=lambda pair: pair[0].tolerance.levels) if is_half else fitting[0]


def _like(proto: onnx.ModelProto, other: Model, name: str, digest: Digest) -> Model:
    shapes = {value.name: shape_of(value) for value in proto.graph.input}
    new, inputs = [key for key in shapes if key not in other.inputs], {}
    for key, declared in other.inputs.items():
        is_renamed = key not in shapes and len(new) == 1 and len(declared) == _PIXELS  # else the contract refuses it
        named = new[0] if is_renamed else key
        shape = shapes.get(named, declared)
        if len(shape) == len(declared):
            shape = (shape[0], *(size if size > 0 else old for size, old in zip(shape[1:], declared[1:], strict=True)))
        inputs[named] = shape
    group = other.group if other.delivery == "baked" else name
    own = [tuple(shape[2:]) for shape in inputs.values()]
    sides = tuple(side for side in other.sides if (side, side) not in own)
    model = replace(
        other,
        name=name,
        file=f"models/{name}.onnx",
        group=group,
        licence=_LICENCE,
        redistribution="forbidden",
        origin="folder",
        **asdict(digest),
    )
    try:
        model = replace(model, inputs=inputs, sides=sides)
    except ManifestError as error:
        raise ModelError(f"{name}: {error}; {_LIKE}") from None
    check_contract(proto, model)
    return model


def _same(params: Params, name: str, digest: Digest) -> Model:
    model = params.model(name)
    if params.origin_of(model) != "folder" or model.pin != digest:
        expected = f"expected a new name, or the file that it has: {model.pin} of its {params.origin_of(model)}"
        raise MorphstreamError(
            f"{name}: {expected}, seen {digest}; choose another name, or pin it by stages.fetch --pin"
        )
    return model


@contextmanager
def _placed(whole: Path, model: Model, digest: Digest, workspace: Workspace) -> Iterator[None]:
    """Copy a model's file into its place in build/, and remove it there when the block raises."""
    target = workspace.build / model.file
    is_there = target.is_file() and digest_of_file(target) == digest
    if is_there and not leads_out(target):
        yield
        return
    if not is_there:
        check_replaceable(model, target, workspace)
    copy_verified(whole, target, digest)
    try:
        yield
    except BaseException:
        target.unlink()
        raise


def _write(workspace: Workspace, model: Model, other: Model | None) -> list[str]:
    """Write a model's entry after that of another, if any, and the lists of dvc.yaml files: all, or none."""
    before = {path: read_regular(path, MOST_BYTES) for path in (workspace.params, *pipeline_files(workspace))}
    try:
        if other is not None:
            edit_params(workspace.params, {("models", model.name): _entry(model, other, workspace.params)})
        if len(before) > 1:
            write_lists(load_params(workspace.params), workspace)
    except BaseException:
        for path, data in before.items():
            write_whole(path, data)
        raise
    names = {str(path.relative_to(workspace.root)): (path, data) for path, data in before.items()}
    changes = (difference(name, data.decode(), path.read_text("utf-8")) for name, (path, data) in names.items())
    return [change for change in changes if change]


def _entry(model: Model, other: Model, params: Path) -> dict[str, object]:
    """Return a model's entry in params.yaml, with the keys of another's and in their order."""
    entries: dict[str, dict[str, object]] = required(read_object(params), "models", dict)
    pins = {"file": model.file, "sha256": model.sha256, "bytes": model.bytes, "origin": model.origin}
    inputs = {name: list(shape) for name, shape in model.inputs.items()}
    own = {
        **pins,
        "group": model.group,
        "inputs": inputs,
        "licence": model.licence,
        "redistribution": model.redistribution,
    }
    entry = {**pins, **entries[other.name], **own}
    sides = {"sides": list(model.sides)} if model.sides else {}
    return {key: value for key, value in entry.items() if key != "sides"} | sides


if __name__ == "__main__":
    run_program(main)
