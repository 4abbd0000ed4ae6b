"""What exporters write in several ways is read in one, and gives the same; what can't be is refused with an advice."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stages.surgery.read import read_model
from stages.surgery.tensors import graphs_of
from stages.surgery.versions import IR_VERSION, OPSET, opset_of
from stages.surgery.weights import write_model
from tests.stages import Array, run_model
from tests.stages.onnx_files import WEIGHT, node, put, refusal, small

X = np.random.default_rng(5).standard_normal((1, 40)).astype(np.float32)


def read_whole(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Read a model from a file, and return it with its weights inside."""
    write_model(read_model(put(model, folder)), folder / "read.onnx")
    return onnx.load_model(folder / "read.onnx")


def result(model: onnx.ModelProto) -> npt.NDArray[np.number]:
    return run_model(model, x=X)["y"]


def test_weights_that_are_inputs_too_are_weights(tmp_path: Path) -> None:
    model = small()
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [40, 40]))
    onnx.checker.check_model(model)
    read = read_whole(model, tmp_path)
    assert [value.name for value in read.graph.input] == ["x"]
    assert read.ir_version == 4  # the first without weights among the inputs
    np.testing.assert_array_equal(result(read), result(small()))


def test_an_output_that_is_listed_twice_is_one(tmp_path: Path) -> None:
    model = small()
    model.graph.output.append(model.graph.output[0])
    assert [value.name for value in read_whole(model, tmp_path).graph.output] == ["y"]


def with_function(model: onnx.ModelProto, *nodes: onnx.NodeProto, name: str = "twice", domain: str = "own") -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model.functions.add().CopyFrom(helper.make_function(domain, name, ["a"], ["b"], nodes, opsets))


def calling(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    model = small(*nodes)
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


def test_functions_of_the_model_are_inlined_also_within_each_other(tmp_path: Path) -> None:
    model = calling(node("fourfold", "x", "d", "f", domain="own"), node("MatMul", "d w", "y"))
    with_function(model, node("Add", "a a", "b"))
    with_function(model, node("twice", "a", "c", domain="own"), node("twice", "c", "b", domain="own"), name="fourfold")
    read = read_whole(model, tmp_path)
    assert not read.functions
    np.testing.assert_allclose(result(read), 4 * result(small()), rtol=1e-5)


def test_functions_without_end_or_bounds_are_refused(tmp_path: Path) -> None:
    model = calling(node("twice", "x", "y", domain="own"))
    with_function(model, node("twice", "a", "b", domain="own"))
    assert refusal(put(model, tmp_path)).startswith(
        "function twice: expected one that ends, seen one that calls itself"
    )
    model = calling(node("f20", "x", "y", domain="own"))
    with_function(model, node("Neg", "a", "b"), name="f0")
    for i in range(20):
        inner = [node(f"f{i}", "a", "c", domain="own"), node(f"f{i}", "c", "b", domain="own")]
        with_function(model, *inner, name=f"f{i + 1}")
    assert refusal(put(model, tmp_path)).startswith("expected at most 100000 nodes in 100 calls within each other")


def sparse(values: Array, indices: Array, dims: tuple[int, ...], name: str = "w") -> onnx.SparseTensorProto:
    tensors = numpy_helper.from_array(values, name), numpy_helper.from_array(indices, "places")
    return helper.make_sparse_tensor(*tensors, dims)


@pytest.mark.parametrize("how", ["an initializer", "a constant", "pairs"])
def test_sparse_constants_are_written_dense(tmp_path: Path, how: str) -> None:
    thin = np.where(WEIGHT > 1, WEIGHT, 0)
    values = thin[thin != 0]
    places = np.argwhere(thin) if how == "pairs" else np.flatnonzero(thin)
    stored = sparse(values, places.astype(np.int64), (40, 40))
    model = small(weights={"other": WEIGHT})
    if how == "a constant":
        model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], sparse_value=stored))
    else:
        model.graph.sparse_initializer.append(stored)
    read = read_whole(model, tmp_path)
    assert not read.graph.sparse_initializer
    np.testing.assert_array_equal(result(read), result(small(weights={"w": thin})))


@pytest.mark.parametrize(
    ("indices", "dims", "message"),
    [
        pytest.param([1600], (40, 40), "indices within [40, 40]", id="beyond"),
        pytest.param([-1], (40, 40), "indices within [40, 40]", id="below"),
        pytest.param([[0, 40]], (40, 40), "indices within [40, 40]", id="a pair beyond"),
        pytest.param([0, 1], (40, 40), "an index for each of 1 numbers", id="too many"),
        pytest.param([0], (1 << 20, 1 << 20), "a sparse constant of at most", id="of terabytes"),
        pytest.param([0], (-40, -40), "a sparse constant of at most", id="of no size"),
    ],
)
def test_sparse_constants_that_are_none_are_refused(
    tmp_path: Path, indices: list[object], dims: tuple[int, ...], message: str
) -> None:
    model = small(weights={"other": WEIGHT})
    model.graph.sparse_initializer.append(sparse(np.ones(1, np.float32), np.array(indices, np.int64), dims))
    assert refusal(put(model, tmp_path)).startswith(f"tensor w: expected {message}")


YES, NO = np.array(True), np.array(False)
TRAINED = {
    "w": WEIGHT,
    "ratio": np.array(0.5, np.float32),
    "yes": YES,
    **{key: np.full(40, value, np.float32) for key, value in (("s", 2), ("b", 1), ("m", 3), ("v", 4))},
}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        pytest.param([node("Dropout", "x ratio yes", "y")], X, id="dropout"),
        pytest.param([node("BatchNormalization", "x s b m v", "y", training_mode=1)], (X - 3) + 1, id="a norm"),
    ],
)
def test_nodes_that_would_train_calculate_as_afterwards(
    tmp_path: Path, nodes: list[onnx.NodeProto], expected: npt.NDArray[np.float32]
) -> None:
    if nodes[0].op_type == "BatchNormalization":
        nodes[0].output.extend(["mean", "variance"])
    read = read_whole(small(*nodes, weights=TRAINED), tmp_path)
    np.testing.assert_allclose(result(read), expected, atol=1e-4)


def test_a_mode_that_is_no_constant_or_has_readers_is_refused(tmp_path: Path) -> None:
    advice = "export the model after model.eval()"
    model = small(node("Not", "no", "mode"), node("Dropout", "x ratio mode", "y", "d"), weights={**TRAINED, "no": NO})
    assert refusal(put(model, tmp_path)).endswith(
        f"seen Dropout in training mode by a value that is no constant; {advice}"
    )
    norm = node("BatchNormalization", "x s b m v", "n", "norm", training_mode=1)
    norm.output.extend(["mean", "variance"])
    model = small(norm, node("Add", "n mean", "y"), weights=TRAINED)
    assert refusal(put(model, tmp_path)).startswith("node norm: expected a node for inference, seen BatchNormalization")


def at(opset: int, ir: int) -> Callable[[onnx.ModelProto], onnx.ModelProto]:
    def alter(model: onnx.ModelProto) -> onnx.ModelProto:
        model.opset_import[0].version, model.ir_version = opset, ir
        return model

    return alter


@pytest.mark.parametrize(("opset", "ir"), [(7, 3), (9, 4), (26, 13), (28, 14)], ids=str)
def test_opsets_that_runtimes_or_edits_don_t_know_are_converted(tmp_path: Path, opset: int, ir: int) -> None:
    nodes = [node("MatMul", "x w", "m"), node("Relu", "m", "r"), node("Add", "r w0", "y")]
    weights: dict[str, Array] = {"w": WEIGHT, "w0": WEIGHT[:1], "buff2fs": np.eye(50, dtype=np.float32)}
    read = read_whole(at(opset, max(ir, 4))(small(*nodes, weights=weights)), tmp_path)
    assert 11 <= opset_of(read) <= OPSET
    assert read.ir_version <= IR_VERSION
    assert {tensor.name for tensor in read.graph.initializer} == set(weights)  # also what no node reads
    np.testing.assert_array_equal(result(read), result(small(*nodes, weights=weights)))


def test_attributes_of_an_old_opset_become_inputs_of_a_new_one(tmp_path: Path) -> None:
    nodes = [node("Clip", "x", "c", min=-0.5, max=0.5), node("Dropout", "c", "y", ratio=0.5)]
    read = read_whole(at(9, 4)(small(*nodes)), tmp_path)
    np.testing.assert_array_equal(result(read), np.clip(X, -0.5, 0.5))


NEWEST = f"from 1 to {onnx.defs.onnx_opset_version()}"


@pytest.mark.parametrize(
    ("opset", "ir", "message"),
    [
        pytest.param(1 << 40, 8, f"expected one opset of ONNX {NEWEST}, seen [1099", id="an opset of a trillion"),
        pytest.param(-1, 8, f"expected one opset of ONNX {NEWEST}, seen [-1]; export with", id="an opset below 1"),
        pytest.param(99, 8, f"expected one opset of ONNX {NEWEST}, seen [99]; export with opset 25", id="tomorrow's"),
        pytest.param(17, 99, f"expected an IR version of ONNX from 1 to {onnx.IR_VERSION}, seen 9", id="an IR too new"),
        pytest.param(17, 0, f"expected an IR version of ONNX from 1 to {onnx.IR_VERSION}, seen 0", id="no IR"),
    ],
)
def test_versions_that_nothing_reads_are_refused(tmp_path: Path, opset: int, ir: int, message: str) -> None:
    assert refusal(put(at(opset, ir)(small()), tmp_path)).startswith(message)


def test_an_operator_that_only_a_later_opset_has_is_refused(tmp_path: Path) -> None:
    model = at(26, 13)(small(node("CumProd", "x axis", "y"), weights={"axis": np.array(1)}))
    message = (
        "expected a model of opset 11 to 25, seen opset 26, and No Previous Version of CumProd exists; export it with"
    )
    assert refusal(put(model, tmp_path)).startswith(message)


def test_two_opsets_or_none_are_refused(tmp_path: Path) -> None:
    model = small()
    model.opset_import.append(helper.make_opsetid("ai.onnx", 18))
    assert refusal(put(model, tmp_path)).startswith(f"expected one opset of ONNX {NEWEST}, seen [17, 18]")
    del model.opset_import[:]
    assert refusal(put(model, tmp_path)).startswith(f"expected one opset of ONNX {NEWEST}, seen []")


def test_what_belongs_to_training_is_left_behind(tmp_path: Path) -> None:
    model = small()
    model.training_info.add().initialization.CopyFrom(model.graph)
    model.graph.quantization_annotation.add(tensor_name="w")
    read = read_whole(model, tmp_path)
    assert not read.training_info
    assert not any(graph.quantization_annotation for graph in graphs_of(read.graph))
