"""A sound ONNX file is read whole, with the weights beside it; any other is refused in a line that names the fault."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import ModelError
from stages.surgery.read import digest_of_model, read_model
from tests.stages import PARAMS, Array, original, run_model

WEIGHT = np.random.default_rng(51).standard_normal((40, 40)).astype(np.float32)
Alteration = Callable[[onnx.ModelProto], object]


def node(operator: str, inputs: str, output: str, name: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], name, **attributes)


def small(*nodes: onnx.NodeProto, weights: dict[str, Array] | None = None) -> onnx.ModelProto:
    """Return a model from ``x`` (1, 40) to ``y``, not checked."""
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {"w": WEIGHT}).items()]
    graph = helper.make_graph(
        nodes or [node("MatMul", "x w", "y", "product")],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 40])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 40])],
        tensors,
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def put(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "small.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def put_external(folder: Path, location: str = "weights.bin", entries: Mapping[str, object] | None = None) -> Path:
    """Write a model whose weight lies in a file beside it, 8 bytes from its start."""
    model = small()
    tensor = model.graph.initializer[0]
    (folder / "weights.bin").write_bytes(b"-" * 8 + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in ({"location": location, "offset": 8, "length": WEIGHT.nbytes, **(entries or {})}).items():
        tensor.external_data.add(key=key, value=str(value))
    return put(model, folder)


def refusal(path: Path) -> str:
    """Read a model that must be refused, in one line that begins with its path; return the rest."""
    with pytest.raises(ModelError) as caught:
        read_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 700
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("name", PARAMS.models)
def test_every_model_of_the_kit_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(original(name))
    assert read_model(path) == onnx.load_model_from_string(original(name))
    assert digest_of_model(path) == digest_of_file(path)


def test_weights_beside_the_file_are_taken_in(tmp_path: Path) -> None:
    model = read_model(put_external(tmp_path))
    shutil.rmtree(tmp_path)
    x = np.ones((1, 40), np.float32)
    np.testing.assert_array_equal(run_model(model, x=x)["y"], run_model(small(), x=x)["y"])


def test_weights_in_a_folder_of_the_model_s_are_taken_in(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = put_external(tmp_path, "data/weights.bin")
    (tmp_path / "weights.bin").rename(tmp_path / "data/weights.bin")
    assert read_model(path).graph.initializer[0].raw_data == WEIGHT.tobytes()


def test_other_weights_make_another_digest(tmp_path: Path) -> None:
    path = put_external(tmp_path)
    before, file = digest_of_model(path), digest_of_file(path)
    (tmp_path / "weights.bin").write_bytes(b"+" + (tmp_path / "weights.bin").read_bytes()[1:])
    after = digest_of_model(path)
    assert digest_of_file(path) == file
    assert after.sha256 != before.sha256
    assert before.bytes == after.bytes == file.bytes + 8 + WEIGHT.nbytes


def test_weights_under_another_name_make_another_digest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = put_external(tmp_path / "a")
    other = put_external(tmp_path / "b", "others.bin")
    (tmp_path / "b/weights.bin").rename(tmp_path / "b/others.bin")
    assert digest_of_model(one).sha256 != digest_of_model(other).sha256


@pytest.mark.parametrize(
    ("location", "message"),
    [
        pytest.param("/etc/passwd", "its data in the model's folder, seen /etc/passwd", id="an absolute path"),
        pytest.param("../weights.bin", "its data in the model's folder, seen ../weights.bin", id="a path up"),
        pytest.param("a/../../weights.bin", "its data in the model's folder", id="a path down and up"),
        pytest.param("link.bin", "its data in the model's folder, seen link.bin, a link out of it", id="a link out"),
        pytest.param("out/weights.bin", "its data in the model's folder", id="a folder's link out"),
        pytest.param("none.bin", "the file none.bin in the model's folder, seen none", id="missing"),
        pytest.param(".", "the file . in the model's folder, seen none", id="a folder"),
        pytest.param("pipe", "the file pipe in the model's folder, seen none", id="a pipe"),
        pytest.param("", "its data in the model's folder, seen no location", id="nameless"),
        pytest.param("a\nb", r"its data in the model's folder, seen 'a\nb'", id="a name of two lines"),
        pytest.param("a\0b", r"its data in the model's folder, seen 'a\x00b'", id="a name with a zero"),
    ],
)
def test_weights_elsewhere_are_refused(tmp_path: Path, location: str, message: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(8) + WEIGHT.tobytes())
    (folder / "link.bin").symlink_to("../weights.bin")
    (folder / "out").symlink_to("..")
    os.mkfifo(folder / "pipe")
    path = put_external(folder, location)
    assert refusal(path).startswith(f"tensor w: expected {message}")
    with pytest.raises(ModelError, match="tensor w: expected "):
        digest_of_model(path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        pytest.param({"offset": 9}, "6400 bytes at byte 9 of weights.bin", id="an offset beyond"),
        pytest.param({"offset": 1 << 62}, "6400 bytes at byte", id="an offset far beyond"),
        pytest.param({"offset": -8}, "a number for offset, seen -8", id="an offset below 0"),
        pytest.param({"offset": "8 "}, "a number for offset, seen 8 ", id="no number"),
        pytest.param({"length": 6399}, "6400 bytes at byte 8 of weights.bin", id="too short"),
        pytest.param({"length": 6404}, "6400 bytes at byte 8 of weights.bin", id="too long"),
    ],
)
def test_weights_that_the_file_beside_doesn_t_hold_are_refused(
    tmp_path: Path, entries: dict[str, object], message: str
) -> None:
    assert refusal(put_external(tmp_path, entries=entries)).startswith(f"tensor w: expected {message}")


def test_weights_of_a_terabyte_are_refused_unread(tmp_path: Path) -> None:
    path = put_external(tmp_path)
    model = onnx.load_model(path, load_external_data=False)
    model.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]
    with (tmp_path / "weights.bin").open("r+b") as file:
        file.truncate(1 << 43)  # sparse
    assert "tensor w: expected 4398046511104 bytes at byte 8" in refusal(put(model, tmp_path))


def nested(depth: int) -> onnx.NodeProto:
    """Return a choice within a choice, `depth` deep."""
    inner = node("Relu", "x", f"y{depth}") if depth == 0 else nested(depth - 1)
    inner.output[0] = f"y{depth}"
    output = [helper.make_tensor_value_info(f"y{depth}", TensorProto.FLOAT, [1, 40])]
    branch = helper.make_graph([inner], "branch", [], output)
    return node("If", "c", "y", f"choice{depth}", then_branch=branch, else_branch=branch)


def with_function(model: onnx.ModelProto) -> None:
    opset = [helper.make_opsetid("", 17)]
    model.functions.add().CopyFrom(helper.make_function("own", "twice", ["a"], ["b"], [node("Add", "a a", "b")], opset))


def with_dims(*dims: int) -> Alteration:
    def alter(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].dims[:] = dims

    return alter


LARGE = {"shape": np.array([1 << 20, 1 << 20]), "times": np.array([1 << 20, 1 << 15])}

FAULTS: dict[str, tuple[onnx.ModelProto, Alteration | None, str]] = {
    "a cycle": (
        small(node("Add", "x b", "a", "first"), node("Relu", "a", "b", "second"), node("Relu", "b", "y", "third")),
        None,
        "node first: expected inputs that earlier nodes make, seen b, which a later node makes",
    ),
    "a value from nowhere": (
        small(node("Relu", "x", "a"), node("Relu", "b", "y")),
        None,
        "node Relu #1: expected inputs that earlier nodes make, seen b, which nothing makes",
    ),
    "an unknown operator": (
        small(node("Relu", "x", "a"), node("Telu", "a", "y")),
        None,
        "node Telu #1: expected an operator of ONNX itself, seen Telu in opset 17",
    ),
    "an operator of a later opset": (
        small(node("Gelu", "x", "y", "g")),
        None,
        "node g: expected an operator of ONNX itself, seen Gelu in opset 17",
    ),
    "an operator of a runtime": (
        small(node("FusedConv", "x w", "y", "f", domain="com.microsoft")),
        None,
        "node f: expected an operator of ONNX itself, seen FusedConv of domain com.microsoft",
    ),
    "a function of its own": (small(), with_function, "function twice: expected none, seen one; export it inlined"),
    "a name of two lines": (
        small(node("Telu", "x", "y", "a\nb\x1b[31m")),
        None,
        r"node 'a\nb\x1b[31m': expected an operator of ONNX itself, seen Telu in opset 17",
    ),
    "a name without end": (
        small(node("Telu", "x", "y", "n" * 100_000)),
        None,
        f"node {'n' * 80}...: expected an operator",
    ),
    "a value made twice": (small(node("Relu", "x", "y", "a"), node("Neg", "x", "y", "b")), None, "node b: expected"),
    "an input too many": (small(node("Relu", "x x", "y", "one")), None, "expected a valid ONNX model, seen Node(one) "),
    "an attribute of two lines": (
        small(node("Relu", "x", "y", "one", **{"a\nb\x1b": 1})),
        None,
        "expected a valid ONNX model, seen Unrecognized attribute: a b? for operator Relu",
    ),
    "graphs within graphs": (
        small(nested(6), weights={"c": np.array(True)}),
        None,
        "node choice2: expected at most 4 graphs within each other, seen more",
    ),
    "more nodes than any model": (
        small(*[node("Relu", "x", f"a{i}") for i in range(100_001)]),
        None,
        "expected at most 100000 nodes, seen 100001",
    ),
    "dims beyond the data": (
        small(),
        with_dims(40, 41),
        "tensor w: expected 6560 bytes for its dims [40, 41], seen 6400",
    ),
    "dims without end": (small(), with_dims(*[1 << 62] * 12), "tensor w: expected "),
    "dims below 0": (small(), with_dims(-40, -40), "tensor w: expected at most 16 dims of 0 or more"),
    "dims that have no number": (small(), with_dims(*[1] * 1000), "tensor w: expected at most 16 dims of 0 or more"),
    "a constant of terabytes": (
        small(node("ConstantOfShape", "shape", "y", "zeros"), weights=LARGE),
        None,
        "node zeros: expected at most 2147483648 bytes, seen a shape of [1048576, 1048576]",
    ),
    "a value of terabytes on the way": (
        small(node("Tile", "x times", "t", "tiles"), node("ReduceSum", "t", "y"), weights=LARGE),
        None,
        "node tiles: expected at most 2147483648 bytes, seen a shape of [1048576, 1310720]",
    ),
    "an Expand of terabytes": (
        small(
            node("Unsqueeze", "x last", "u"),
            node("Expand", "u shape", "e", "wide"),
            node("ReduceSum", "e", "y"),
            weights={"last": np.array([2]), "shape": np.array([1 << 20, 40, 1 << 20])},
        ),
        None,
        "node wide: expected at most 2147483648 bytes, seen a shape of [1048576, 40, 1048576]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_sound_is_named(tmp_path: Path, fault: str) -> None:
    model, alteration, message = FAULTS[fault]
    altered = onnx.ModelProto()
    altered.CopyFrom(model)
    if alteration is not None:
        alteration(altered)
    assert refusal(put(altered, tmp_path)).startswith(message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "expected a valid ONNX model", id="nothing"),
        pytest.param(b"\0" * 64, "expected a valid ONNX model", id="zeros"),
        pytest.param(b"<!DOCTYPE html><html>Sign in</html>", "expected a valid ONNX model", id="a web page"),
        pytest.param(b"\x3a\xff\xff\xff\xff\x7f", "expected a valid ONNX model, seen a field of", id="a false size"),
        pytest.param(b"\xff" * 32, "expected a valid ONNX model, seen a number that doesn't end", id="no end"),
        pytest.param(small().SerializeToString()[:-9], "expected a valid ONNX model, seen a field of", id="cut"),
        pytest.param(
            small(node("Relu", "x", "y", "name")).SerializeToString().replace(b"name", b"na\xffe"),
            "expected ",
            id="not UTF-8",
        ),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(data)
    assert refusal(path).startswith(message)


def framed(field: int, content: bytes) -> bytes:
    """Return a field of Protocol Buffers that holds some bytes."""
    tag, size = bytes([field << 3 | 2]), len(content)
    while size > 127:
        tag += bytes([size & 127 | 128])
        size >>= 7
    return tag + bytes([size]) + content


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(b"\x0a\x00" * 2_000_000, id="millions of empty nodes"),
        pytest.param(framed(1, b"\x0a\x00" * 2_000_000), id="millions of inputs"),
        pytest.param(framed(5, framed(1, b"\x01" * (1 << 27))), id="millions of dims"),
    ],
)
def test_a_file_that_would_fill_the_memory_is_refused_before_it_is_parsed(tmp_path: Path, graph: bytes) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(framed(7, graph))
    assert refusal(path).startswith("expected at most 1000000 fields and ")


def test_messages_without_end_within_each_other_are_refused(tmp_path: Path) -> None:
    data = b""
    for _ in range(200):
        data = framed(7, framed(1, framed(5, framed(6, data))))[2:]
    path = tmp_path / "small.onnx"
    path.write_bytes(framed(7, data))
    refusal(path)


def test_a_file_larger_than_any_message_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 31)  # sparse
    assert refusal(path).startswith("expected at most 2147483647 bytes, seen 2147483648")


def test_nodes_that_a_converter_appended_are_put_in_order(tmp_path: Path) -> None:
    model = small(node("Relu", "a", "y", "second"), node("Relu", "x", "a", "first"))
    read = read_model(put(model, tmp_path))
    assert [one.name for one in read.graph.node] == ["first", "second"]
