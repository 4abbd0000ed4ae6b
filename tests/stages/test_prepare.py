"""A good model becomes a folder with the same bytes every time; a bad one is refused in a line and changes nothing."""

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import openvino
import pytest
from onnx import TensorProto

from morphstream.artifact.errors import ModelError
from stages.prepare import edit, prepare, save_model
from stages.surgery.contract import shape_of
from stages.surgery.emap import find_emap
from stages.surgery.half import to_half
from stages.workspace import Workspace
from tests.stages import PARAMS, Array, files_in, loaded, needs_rtx, original, read_json, refusal, run_model, run_stage

NAME = "fan_68_5"
SOURCE = PARAMS.model(NAME).file


def put(workspace: Workspace, data: bytes, path: str = SOURCE) -> None:
    file = workspace.build / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def altered(data: bytes) -> bytes:
    return data.replace(b"MatMul", b"NatMul", 1)


def other_contract(data: bytes) -> bytes:
    return original("gfpgan")


def empty(data: bytes) -> bytes:
    return b""


def a_web_page(data: bytes) -> bytes:
    return b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(truncated, "build/models/fan_68_5.onnx: expected a valid ONNX model, seen ", id="truncated"),
        pytest.param(
            altered,
            "build/models/fan_68_5.onnx: node fan_68_5_n0: expected an operator of ONNX itself, seen NatMul",
            id="altered",
        ),
        pytest.param(empty, "build/models/fan_68_5.onnx: expected a valid ONNX model, seen ", id="empty"),
        pytest.param(a_web_page, "build/models/fan_68_5.onnx: expected a valid ONNX model, seen ", id="a web page"),
        pytest.param(
            other_contract,
            "models/fan_68_5.onnx: input input: expected shape (1, 5, 2), seen (1, 3, 512, 512)",
            id="of another contract",
        ),
    ],
)
def test_a_bad_model_is_refused_and_the_last_good_one_stays(
    workspace: Workspace, fault: Callable[[bytes], bytes], message: str
) -> None:
    put(workspace, original(NAME))
    prepare(PARAMS.model(NAME), workspace.build / SOURCE, workspace.prepared / NAME)
    before = files_in(workspace.prepared)
    put(workspace, fault(original(NAME)))
    assert refusal(workspace, "prepare", NAME).startswith(f"prepare {NAME}: {message}")
    assert files_in(workspace.prepared) == before


def test_a_missing_model_and_an_unknown_one_are_refused(workspace: Workspace) -> None:
    assert str(SOURCE) in refusal(workspace, "prepare", NAME)
    assert "models: expected one of fan_68_5, " in refusal(workspace, "prepare", "nobody")
    assert not workspace.prepared.exists()


def test_random_damage_is_refused_or_harmless_but_no_crash(workspace: Workspace) -> None:
    chance = random.Random(11)
    data = original("gfpgan")
    refused = 0
    for _ in range(200):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        put(workspace, bytes(damaged))
        try:
            prepare(PARAMS.model("gfpgan"), workspace.build / SOURCE, workspace.prepared / "gfpgan")
        except ModelError:
            refused += 1
    assert refused > 50


def test_two_processes_write_the_same_bytes(workspace: Workspace) -> None:
    put(workspace, original(NAME))
    folders = []
    for _ in range(2):
        done = run_stage(workspace, "prepare", NAME)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        folders.append(files_in(workspace.prepared))
    assert set(folders[0]) == {f"{NAME}/{name}" for name in ("fp32.onnx", "fp16.onnx", "contract.json")}
    assert folders[0] == folders[1]


def test_a_model_with_emap_has_it_beside(workspace: Workspace) -> None:
    model = PARAMS.model("inswapper_128")
    put(workspace, original("inswapper_128"), model.file)
    prepare(model, workspace.build / model.file, workspace.prepared / "inswapper_128")
    assert set(files_in(workspace.prepared / "inswapper_128")) == {"fp32.onnx", "emap.npy", "contract.json"}
    emap = find_emap(loaded("inswapper_128"))
    assert emap is not None
    np.testing.assert_array_equal(np.load(workspace.prepared / "inswapper_128/emap.npy"), emap)


def test_what_was_prepared_before_is_replaced_as_a_whole(workspace: Workspace) -> None:
    put(workspace, original(NAME))
    (workspace.prepared / NAME).mkdir(parents=True)
    (workspace.prepared / NAME / "emap.npy").write_bytes(b"of another model")
    prepare(PARAMS.model(NAME), workspace.build / SOURCE, workspace.prepared / NAME)
    assert set(files_in(workspace.prepared)) == {
        f"{NAME}/{name}" for name in ("fp32.onnx", "fp16.onnx", "contract.json")
    }


@pytest.mark.parametrize("name", ["w600k_r50", "hyperswap_1a_256"])
def test_contract_json_names_the_inputs_and_outputs_of_the_prepared_model(workspace: Workspace, name: str) -> None:
    model = PARAMS.model(name)
    put(workspace, original(name), model.file)
    prepare(model, workspace.build / model.file, workspace.prepared / name)
    contract = read_json(workspace.prepared / name / "contract.json")
    prepared = onnx.load_model(workspace.prepared / name / "fp32.onnx")
    assert {key: contract[key] for key in ("model", "role", "group", "precision")} == {
        "model": name,
        "role": model.role,
        "group": model.group,
        "precision": model.precision,
    }
    for key, values in (("inputs", prepared.graph.input), ("outputs", prepared.graph.output)):
        assert list(contract[key]) == [value.name for value in values]
    assert contract["inputs"]["crop"]["dtype"] == "uint8"
    assert json.dumps(contract, indent=2) + "\n" == (workspace.prepared / name / "contract.json").read_text("utf-8")


def rows_of(model: onnx.ModelProto, count: int) -> dict[str, Array]:
    """Return inputs of some rows for a prepared model, the same on every run."""
    chance = np.random.default_rng(61)
    arrays: dict[str, Array] = {}
    for value in model.graph.input:
        shape = (count, *(dim.dim_value or 320 for dim in value.type.tensor_type.shape.dim[1:]))
        is_crop = value.type.tensor_type.elem_type == TensorProto.UINT8
        arrays[value.name] = (
            chance.integers(0, 256, shape, np.uint8) if is_crop else chance.uniform(0, 1, shape).astype(np.float32)
        )
    return arrays


Run = Callable[[dict[str, Array]], dict[str, npt.NDArray[np.number]]]


def by_onnxruntime(model: onnx.ModelProto) -> Run:
    return lambda inputs: run_model(model, **inputs)


def by_openvino(model: onnx.ModelProto) -> Run:
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return lambda inputs: {name: array for value, array in compiled(inputs).items() for name in value.names}


@pytest.mark.parametrize("runtime", [by_onnxruntime, by_openvino], ids=["ONNX Runtime", "OpenVINO"])
@pytest.mark.parametrize("name", PARAMS.models)
def test_a_prepared_model_gives_two_rows_what_it_gives_each(
    name: str, runtime: Callable[[onnx.ModelProto], Run]
) -> None:
    prepared = edit(loaded(name), PARAMS.model(name))
    for value in (*prepared.graph.input, *prepared.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "N"
    run, rows = runtime(prepared), rows_of(prepared, 2)
    both = run(rows)
    assert set(both) >= {value.name for value in prepared.graph.output}  # OpenVINO gives inner names too
    for i in range(2):
        for key, alone in run({key: row[i : i + 1] for key, row in rows.items()}).items():
            np.testing.assert_allclose(both[key][i : i + 1].astype(float), alone.astype(float), rtol=1e-4, atol=1e-4)


@needs_rtx
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", PARAMS.models)
def test_tensorrt_for_rtx_reads_a_prepared_model(name: str, precision: str) -> None:
    import tensorrt_rtx_bindings as trt

    prepared = edit(loaded(name), PARAMS.model(name))
    if precision == "fp16":
        prepared = to_half(prepared)
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(prepared.SerializeToString()), parser.get_error(0).desc()
    shapes = {network.get_output(i).name: network.get_output(i).shape for i in range(network.num_outputs)}
    assert {name: tuple(shape) for name, shape in shapes.items()} == {
        value.name: shape_of(value) for value in prepared.graph.output
    }


def test_a_saved_model_is_read_as_it_was(tmp_path: Path) -> None:
    model = edit(loaded("w600k_r50"), PARAMS.model("w600k_r50"))
    save_model(model, tmp_path / "model.onnx")
    assert onnx.load_model(tmp_path / "model.onnx") == model


def without_shapes(values: Iterable[onnx.ValueInfoProto]) -> None:
    for value in values:
        value.type.tensor_type.ClearField("shape")


def without_types(values: Iterable[onnx.ValueInfoProto]) -> None:
    for value in values:
        value.ClearField("type")


@pytest.mark.parametrize("name", ["w600k_r50", "det_10g", "hyperswap_1a_256", "bisenet_resnet_18"])
@pytest.mark.parametrize("remove", [without_shapes, without_types], ids=["shapes", "types"])
def test_what_a_file_doesn_t_say_of_its_outputs_is_inferred(
    workspace: Workspace, name: str, remove: Callable[[Iterable[onnx.ValueInfoProto]], None]
) -> None:
    model, altered = PARAMS.model(name), loaded(name)
    remove(altered.graph.output)
    put(workspace, altered.SerializeToString(), model.file)
    prepare(model, workspace.build / model.file, workspace.prepared / name)
    assert onnx.load_model(workspace.prepared / name / "fp32.onnx") == edit(loaded(name), model)


def test_an_output_that_is_not_what_the_file_declares_is_refused(workspace: Workspace) -> None:
    model, altered = PARAMS.model("w600k_r50"), loaded("w600k_r50")
    name = altered.graph.output[0].name
    altered.graph.node[-1].output[0] = "half"
    altered.graph.node.append(onnx.helper.make_node("Concat", ["half", "half"], [name], axis=1))
    put(workspace, altered.SerializeToString(), model.file)
    with pytest.raises(
        ModelError, match=r"^output embedding: expected what the file declares, .*512\], seen .* 1024\]"
    ):
        prepare(model, workspace.build / model.file, workspace.prepared / "w600k_r50")


@pytest.mark.parametrize("name", ["inswapper_128", "bisenet_resnet_18", "det_10g"])
def test_weights_that_are_inputs_are_no_inputs_of_what_is_prepared(workspace: Workspace, name: str) -> None:
    model, altered = PARAMS.model(name), loaded(name)
    altered.ir_version = 3
    for tensor in altered.graph.initializer:
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        altered.graph.input.append(value)
    put(workspace, altered.SerializeToString(), model.file)
    prepare(model, workspace.build / model.file, workspace.prepared / name)
    expected = edit(loaded(name), model)
    seen = onnx.load_model(workspace.prepared / name / "fp32.onnx")
    assert seen.graph == expected.graph
    assert list(read_json(workspace.prepared / name / "contract.json")["inputs"]) == [v.name for v in seen.graph.input]


def test_a_model_whose_rows_can_t_be_separated_is_refused_by_the_node(workspace: Workspace) -> None:
    model = loaded(NAME)
    product = next(node for node in model.graph.node if node.op_type == "MatMul")
    value = product.input[1]
    product.input[1] = "mean"
    model.graph.node.insert(0, onnx.helper.make_node("ReduceMean", [value], ["mean"], "blend", axes=[0], keepdims=1))
    put(workspace, model.SerializeToString())
    message = refusal(workspace, "prepare", NAME)
    assert message.startswith(f"prepare {NAME}: node blend: expected rows that stay apart, seen ReduceMean of ")
    assert not workspace.prepared.exists()
