"""A sound ONNX file is read whole, with the weights beside it; any other is refused in a line that names the fault."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import ModelError
from stages.surgery.read import digest_of_model, read_model
from stages.surgery.weights import write_model
from tests.stages import PARAMS, original, run_model
from tests.stages.onnx_files import WEIGHT, node, put, put_external, refusal, small


@pytest.mark.parametrize("name", PARAMS.models)
def test_every_model_of_the_kit_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(original(name))
    assert whole(path) == onnx.load_model_from_string(original(name))
    assert digest_of_model(path) == digest_of_file(path)


def whole(path: Path) -> onnx.ModelProto:
    """Read a model and return it with its weights inside."""
    write_model(read_model(path), path.with_name("whole.onnx"))
    return onnx.load_model(path.with_name("whole.onnx"))


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    model = whole(put_external(tmp_path))
    x = np.ones((1, 40), np.float32)
    np.testing.assert_array_equal(run_model(model, x=x)["y"], run_model(small(), x=x)["y"])


def test_weights_in_the_file_itself_are_read(tmp_path: Path) -> None:
    path = put_external(tmp_path, "small.onnx", {"offset": "0001000"})
    padding = bytes([0xA2, 0x06, 0x80, 0x40]) + WEIGHT.tobytes()  # a field of 8192 bytes that ONNX doesn't have
    data = path.read_bytes()
    path.write_bytes(data + padding[:4] + bytes(1000 - len(data) - 4) + WEIGHT.tobytes() + bytes(792 + len(data) + 4))
    x = np.ones((1, 40), np.float32)
    np.testing.assert_array_equal(run_model(whole(path), x=x)["y"], run_model(small(), x=x)["y"])
    assert digest_of_model(path) == digest_of_file(path)


def test_a_model_and_weights_that_are_links_are_read(tmp_path: Path) -> None:
    blobs, folder = tmp_path / "blobs", tmp_path / "model"
    blobs.mkdir()
    folder.mkdir()
    for path in (put_external(tmp_path), tmp_path / "weights.bin"):
        path.rename(blobs / f"of {path.name}")
        (folder / path.name).symlink_to(f"../blobs/of {path.name}")
    x = np.ones((1, 40), np.float32)
    np.testing.assert_array_equal(run_model(whole(folder / "small.onnx"), x=x)["y"], run_model(small(), x=x)["y"])


def test_weights_in_a_folder_of_the_model_s_are_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = put_external(tmp_path, "data/weights.bin")
    (tmp_path / "weights.bin").rename(tmp_path / "data/weights.bin")
    assert whole(path).graph.initializer[0].raw_data == WEIGHT.tobytes()


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


def test_nodes_that_a_converter_appended_are_put_in_order(tmp_path: Path) -> None:
    model = small(node("Relu", "a", "y", "second"), node("Relu", "x", "a", "first"))
    read = read_model(put(model, tmp_path))
    assert [one.name for one in read.graph.node] == ["first", "second"]
