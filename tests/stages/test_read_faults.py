"""A file that is no sound model is refused in a line that names the fault, before it can fill the memory."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.stages.onnx_files import Alteration, node, put, refusal, small


def nested(depth: int) -> onnx.NodeProto:
    """Return a choice within a choice, `depth` deep."""
    inner = node("Relu", "x", f"y{depth}") if depth == 0 else nested(depth - 1)
    inner.output[0] = f"y{depth}"
    output = [helper.make_tensor_value_info(f"y{depth}", TensorProto.FLOAT, [1, 40])]
    branch = helper.make_graph([inner], "branch", [], output)
    return node("If", "c", "y", f"choice{depth}", then_branch=branch, else_branch=branch)


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
    "a constant without a value": (
        small(node("Constant", "", "c", "nothing"), node("Add", "x c", "y")),
        None,
        "node nothing: expected a constant with one value, seen 0 attributes and 1 outputs",
    ),
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
        small(),
        lambda model: model.graph.node.extend([onnx.NodeProto()] * 100_000),
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
    "a part of a tensor": (
        small(),
        lambda model: model.graph.initializer[0].segment.SetInParent(),
        "tensor w: expected a whole one, seen a segment of one",
    ),
    "an attribute of a function outside one": (
        small(node("ReduceMax", "x", "y", "most", axes=[1])),
        lambda model: setattr(model.graph.node[0].attribute[0], "ref_attr_name", "which"),
        "node most: expected attributes with values, seen which of a function",
    ),
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
    ("fields", "content"),
    [
        pytest.param((1,), b"\x0a\x00" * 1_000_001, id="a million inputs"),
        pytest.param((1, 5), bytes((1 << 26) + 1), id="millions of dims"),
    ],
)
def test_a_file_that_would_fill_the_memory_is_refused_before_it_is_parsed(
    tmp_path: Path, fields: tuple[int, ...], content: bytes
) -> None:
    path = tmp_path / "small.onnx"
    for field in (*fields, 7):
        content = framed(field, content)
    path.write_bytes(content)
    assert refusal(path).startswith("expected at most 1000000 fields and ")


def test_messages_without_end_within_each_other_are_refused(tmp_path: Path) -> None:
    data = b""
    for _ in range(200):
        data = framed(1, framed(5, framed(6, data)))  # a node with an attribute that is a graph
    path = tmp_path / "small.onnx"
    path.write_bytes(framed(7, data))
    assert refusal(path).startswith("expected at most 60 messages within each other, seen more")


def test_a_file_larger_than_any_message_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 31)  # sparse
    assert refusal(path).startswith("expected at most 2147483647 bytes, seen 2147483648")
