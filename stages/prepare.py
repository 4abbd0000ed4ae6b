"""prepare MODEL: check an original model's contract, edit its graph, and write what engines are built from."""

from pathlib import Path

import onnx

from morphstream.artifact.errors import ModelError
from stages.declare import check_declared
from stages.files import new_folder, write_json
from stages.params import Model, load_params
from stages.program import read_arguments, run_program
from stages.surgery.batch import with_batch
from stages.surgery.branches import sized
from stages.surgery.contract import STRIDES, anchors_of, check_contract, shape_of
from stages.surgery.crop_input import with_crop_input
from stages.surgery.crop_output import with_crop_output, with_label_output
from stages.surgery.emap import emap_of, file_of
from stages.surgery.initializers import merge_equal
from stages.surgery.join_outputs import WIDTHS, join_outputs
from stages.surgery.modulation import scale_features
from stages.surgery.names import without_names
from stages.surgery.outputs import keep_outputs
from stages.surgery.plan import names_of, plan_of, with_sources
from stages.surgery.quantised import with_float_biases
from stages.surgery.read import read_model
from stages.surgery.sides import with_sides
from stages.surgery.single import to_single
from stages.surgery.weights import as_inputs, write_model
from stages.workspace import Workspace


def main(workspace: Workspace) -> None:
    """Prepare one model."""
    (name,) = read_arguments(__doc__, "model")
    params = load_params(workspace.params)
    model = params.model(name)
    check_declared(workspace, f"engines/{model.name}", params)
    prepare(model, workspace.build / model.file, workspace.prepared / model.name)


def prepare_missing(workspace: Workspace, model: Model) -> Path:
    """Return the folder of a prepared model; prepare it where it isn't there, as DVC doesn't bring it."""
    folder = workspace.prepared / model.name
    if not folder.exists():
        prepare(model, workspace.build / model.file, folder)
    return folder


def prepare(model: Model, source: Path, folder: Path) -> None:
    """Write ``fp32.onnx``, ``contract.json``, and, of a model that has them, ``fp16.onnx`` and ``emap.npy``."""
    original = read_model(source)
    check_contract(original, model)
    emap = emap_of(original, model)
    prepared = edit(original, model)
    with new_folder(folder) as part:
        save_model(prepared, part / "fp32.onnx")
        if model.precision == "fp16":
            from stages.surgery.half import to_half  # here, as it needs ONNX Runtime

            save_model(to_half(prepared), part / "fp16.onnx")
        for name, data in file_of(emap).items():
            (part / name).write_bytes(data)
        write_json(part / "contract.json", contract_of(prepared, model))


def edit(original: onnx.ModelProto, model: Model) -> onnx.ModelProto:
    """Return the prepared model: uint8 crops in, crops, masks, labels or numbers out, under canonical names."""
    plan = plan_of(original, model)
    edited, renamed = without_names(to_single(original), names_of(plan))
    plan = with_sources(plan, renamed)
    kept = {output.source if output.form != "numbers" else name: output.source for name, output in plan.outputs.items()}
    kept |= {output.mask: output.mask for output in plan.outputs.values() if output.mask}
    edited = sized(keep_outputs(edited, kept), model.inputs)
    edited = with_batch(scale_features(with_float_biases(edited)))
    edited = with_sides(edited, model.sides, plan.joined or "")
    for name, output in plan.outputs.items():
        if output.form == "crop":
            edited = with_crop_output(
                edited, output.source, name, scale=output.scale, shift=output.shift, mask=output.mask
            )
        elif output.form == "labels":
            edited = with_label_output(edited, output.source, name)
    if plan.joined:
        edited = join_outputs(edited, plan.joined)
    if plan.normalisation is not None:
        edited = with_crop_input(edited, plan.pixels, plan.crop, plan.normalisation)
    return merge_equal(edited)


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model, the same bytes every time."""
    try:
        onnx.checker.check_model(as_inputs(model))
    except onnx.checker.ValidationError as error:
        raise ModelError(f"{path.name}: expected a valid ONNX model after surgery, seen {error}") from error
    write_model(model, path)


def contract_of(prepared: onnx.ModelProto, model: Model) -> dict[str, object]:
    """Return the inputs and outputs of a prepared model, for those who run or build it."""

    def values(protos: list[onnx.ValueInfoProto]) -> dict[str, object]:
        kind = onnx.helper.tensor_dtype_to_np_dtype
        return {
            proto.name: {"dtype": kind(proto.type.tensor_type.elem_type).name, "shape": shape_of(proto)}
            for proto in protos
        }

    graph = prepared.graph
    return {
        "model": model.name,
        **{key: getattr(model, key) for key in ("role", "group", "delivery", "precision")},
        "batches": list(model.batches),
        **({"emap": True} if model.needs_emap else {}),
        **({"sizes": [_shapes(graph, size) for size in _sizes(model)]} if model.sides else {}),
        "inputs": values(list(graph.input)),
        "outputs": values(list(graph.output)),
    }


def _sizes(model: Model) -> list[tuple[int, int]]:
    """Return height and width of each size that a detector with several is for, its file's own first."""
    _, _, height, width = next(iter(model.inputs.values()))
    return [(height, width), *((side, side) for side in model.sides)]


def _shapes(graph: onnx.GraphProto, size: tuple[int, int]) -> dict[str, list[int]]:
    """Return the shapes of a row of a detector's input and output at a size."""
    rows = sum(anchors_of(*size, stride) for stride in STRIDES)
    return {graph.input[0].name: [*size, 3], graph.output[0].name: [rows, sum(WIDTHS.values())]}


if __name__ == "__main__":
    run_program(main)
