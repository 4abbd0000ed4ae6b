"""Builder `tensorrt_rtx` needs no GPU, gives the same bytes whatever is around it, and says what it can't take."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from morphstream.artifact.errors import ModelError
from morphstream.machine.probe import probe_machine
from morphstream.session.onnxruntime import OnnxRuntimeSession
from morphstream.session.provider import RTX
from stages.builders import Order, Tensor
from stages.builders.tensorrt_rtx import build
from stages.parity.engine import run_engine
from stages.parity.run import run_onnx
from stages.prepare import edit, save_model
from tests.stages import PARAMS, ROOT, loaded, needs_rtx

pytestmark = needs_rtx

SHAPE = (112, 112, 3)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """Order an engine of the kit's embedder, for one and two faces."""
    (tmp_path / "engine").mkdir()
    model = tmp_path / "fp32.onnx"
    save_model(edit(loaded("w600k_r50"), PARAMS.model("w600k_r50")), model)
    return Order(
        model=model,
        archs=("sm89",),
        precision="fp32",
        inputs=(Tensor(name="crop", dtype="uint8", shape=(-1, *SHAPE)),),
        outputs=(Tensor(name="embedding", dtype="float32", shape=(-1, 512)),),
        shapes={"crop": ((1, *SHAPE), (2, *SHAPE))},
        stem="0123456789abcdef_m",
        folder=tmp_path / "engine",
        shared=tmp_path / "timing",
    )


def with_an_operator_it_lacks() -> bytes:
    """Return a model with a node that TensorRT for RTX has no form of."""
    node = helper.make_node("Det", ["crop"], ["embedding"], "the_node")
    crop = helper.make_tensor_value_info("crop", onnx.TensorProto.FLOAT, ["N", 4, 4])
    graph = helper.make_graph([node], "m", [crop], [helper.make_tensor_value_info("embedding", 1, ["N"])])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(model.SerializeToString())


def digest(order: Order) -> str:
    """Build and return the digest of the engine."""
    kinds = build(order)
    (engine,) = (name for name, kind in kinds.items() if kind == "engine")
    return hashlib.sha256((order.folder / engine).read_bytes()).hexdigest()


def test_the_bytes_follow_neither_place_nor_environment_nor_chance(order: Order, tmp_path: Path) -> None:
    first = digest(order)
    far = tmp_path / ("a folder with a long name " * 6)
    far.mkdir()
    moved = replace(order, model=far / order.model.name)
    moved.model.write_bytes(order.model.read_bytes())
    program = f"from tests.stages.test_tensorrt_rtx import *\nprint(digest({moved!r}))".replace("PosixPath", "Path")
    for seed in range(3):
        environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed), "SOMETHING": "else" * 500 * seed}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=far, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == first


def test_archs_differ_and_a_portable_engine_holds_several(order: Order) -> None:
    engines = {}
    for archs in (("sm86",), ("sm89",), ("sm86", "sm89", "sm120")):
        build(replace(order, archs=archs))
        engines[archs] = (order.folder / f"{order.stem}.engine").read_bytes()
    assert len(set(engines.values())) == 3
    assert len(engines["sm86", "sm89", "sm120"]) > len(engines["sm86",])


def test_the_ep_context_model_names_the_engine_and_its_batches(order: Order) -> None:
    kinds = build(order)
    assert kinds == {f"{order.stem}.engine": "engine", f"{order.stem}_ctx.onnx": "ep_context"}
    model = onnx.load_model(order.folder / f"{order.stem}_ctx.onnx")
    (node,) = model.graph.node
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    assert (node.op_type, node.domain) == ("EPContext", "com.microsoft")
    assert attributes["ep_cache_context"].decode() == f"{order.stem}.engine"  # relative: both lie in one folder
    assert (attributes["embed_mode"], attributes["main_context"]) == (0, 1)
    assert attributes["hardware_architecture"] == b"89"
    assert attributes["source"] == b"NvTensorRTRTXExecutionProvider"
    header = (order.folder / f"{order.stem}.engine").read_bytes()[:64]  # shown to the provider before a load
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "batches": "1,2",
        "ep_compatibility_info.NvTensorRTRTXExecutionProvider": header.hex(),
    }
    (crop,) = model.graph.input
    assert [dim.dim_param or dim.dim_value for dim in crop.type.tensor_type.shape.dim] == ["N", *SHAPE]
    assert crop.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    with pytest.raises(Exception, match="EPContext"):  # all that this machine lacks is the provider
        onnxruntime.InferenceSession(order.folder / f"{order.stem}_ctx.onnx", providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("model", "seen"),
    [
        pytest.param(with_an_operator_it_lacks(), "the_node", id="an operator that it lacks"),
        pytest.param(b"\x00\x01", "", id="no model"),
    ],
)
def test_what_it_can_not_take_is_refused_in_one_line(order: Order, model: bytes, seen: str) -> None:
    order.model.write_bytes(model)
    with pytest.raises(ModelError) as refused:
        build(order)
    assert str(order.model) in str(refused.value)
    assert "TensorRT for RTX builds for sm89, seen " in str(refused.value)
    assert seen in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list(order.folder.iterdir())


@pytest.mark.gpu
def test_a_real_gpu_gives_what_onnx_runtime_gives_on_the_cpu(order: Order) -> None:
    arch = probe_machine().gpu_archs[0]
    build(replace(order, archs=(arch,)))
    crops = {"crop": np.random.default_rng(0).integers(0, 256, (2, *SHAPE), np.uint8)}
    seen = run_engine(order.folder, PARAMS.target("rtx-sm89").target, crops)[0]["embedding"]
    np.testing.assert_allclose(seen, run_onnx(order.model, crops, rows=2)[0]["embedding"], atol=1e-2)


@pytest.mark.gpu
@pytest.mark.parametrize("cuda_graph", [False, True], ids=["without a CUDA graph", "with one"])
def test_the_runtime_opens_an_engine_and_runs_any_number_of_rows(order: Order, *, cuda_graph: bool) -> None:
    (arch,) = probe_machine().gpu_archs[:1]
    build(replace(order, archs=(arch,)))
    path = order.folder / f"{order.stem}_ctx.onnx"
    session = OnnxRuntimeSession(path, provider=RTX, threads=1, cuda_graph=cuda_graph)
    assert session.input_shapes == {"crop": (-1, *SHAPE)}
    for rows in (1, 2, 3, 0):
        crops = {"crop": np.random.default_rng(rows).integers(0, 256, (rows, *SHAPE), np.uint8)}
        expected = run_onnx(order.model, crops, rows=2)[0]["embedding"] if rows else np.empty((0, 512))
        np.testing.assert_allclose(session.run(crops)["embedding"], expected, atol=1e-2)
    session.close()
