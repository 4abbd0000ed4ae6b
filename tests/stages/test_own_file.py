"""Whatever a person's file is, a link or in parts, it comes as one plain file, or is refused in a line."""

import os
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from morphstream.artifact.digest import Digest, digest_of, digest_of_file
from morphstream.artifact.errors import DigestMismatchError, ModelError
from stages.origin.own_file import copy_verified, whole_file
from tests.stages import files_in
from tests.stages.own_files import own_model, write_in_parts, write_own

NAME = "fan_68_5"


def whole(path: Path, scratch: Path) -> bytes:
    """Return the bytes of the whole of a model; nothing is left of the way there."""
    with whole_file(path, scratch) as found:
        data = found.read_bytes()
    assert not scratch.exists() or not any(scratch.iterdir())
    return data


def test_a_file_without_external_weights_is_itself(tmp_path: Path) -> None:
    data = write_own(tmp_path / "a.onnx", NAME)
    with whole_file(tmp_path / "a.onnx", tmp_path / "scratch") as found:
        assert found == tmp_path / "a.onnx"
        assert found.read_bytes() == data
    assert not (tmp_path / "scratch").exists()


@pytest.mark.parametrize("weights", ["a.onnx.data", "deep/er/weights.bin"])
def test_external_weights_come_inside_the_same_each_time(tmp_path: Path, weights: str) -> None:
    write_in_parts(tmp_path / "a.onnx", NAME, weights)
    data = whole(tmp_path / "a.onnx", tmp_path / "scratch")
    assert data == whole(tmp_path / "a.onnx", tmp_path / "scratch")
    model = onnx.load_model_from_string(data)
    assert {tensor.name: tensor.raw_data for tensor in model.graph.initializer} == {
        tensor.name: tensor.raw_data for tensor in own_model(NAME).graph.initializer
    }


def test_links_are_followed_as_in_a_cache_of_the_hub(tmp_path: Path) -> None:
    write_in_parts(tmp_path / "real/a.onnx", NAME, "a.onnx.data")
    expected = whole(tmp_path / "real/a.onnx", tmp_path / "scratch")
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    for number, name in enumerate(("a.onnx", "a.onnx.data")):
        (tmp_path / "real" / name).rename(tmp_path / "blobs" / str(number))
        (tmp_path / "snapshot" / name).symlink_to(f"../blobs/{number}")
    assert whole(tmp_path / "snapshot/a.onnx", tmp_path / "scratch") == expected


def test_weights_inside_the_file_itself_are_found(tmp_path: Path) -> None:
    path, model = tmp_path / "a.onnx", own_model(NAME)
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    data, other = largest.raw_data, model.graph.initializer.add()
    other.CopyFrom(largest)  # holds the bytes, which the first has outside, in the same file
    other.name = "holder"
    largest.ClearField("raw_data")
    largest.data_location = TensorProto.EXTERNAL
    for key, value in {"location": path.name, "offset": "1000000", "length": str(len(data))}.items():
        largest.external_data.add(key=key, value=value)
    offset = model.SerializeToString(deterministic=True).index(data)
    largest.external_data[1].value = f"{offset:07}"
    path.write_bytes(model.SerializeToString(deterministic=True))
    found = onnx.load_model_from_string(whole(path, tmp_path / "scratch"))
    assert {tensor.name: tensor.raw_data for tensor in found.graph.initializer}[largest.name] == data


def with_weights_at(path: Path, location: str, **more: object) -> None:
    """Write a model with one external weight at some place."""
    tensor = TensorProto(name="w", dims=[4], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    graph = helper.make_graph([], "g", [], [], [tensor])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("../secret", "expected external weights in its folder, seen ../secret"),
        ("/etc/hostname", "expected external weights in its folder, seen /etc/hostname"),
        ("x/../../secret", "expected external weights in its folder"),
        ("", "expected external weights in its folder, seen no location"),
        (".", "expected external weights in its folder"),
        ("a\nb", "expected external weights in its folder"),
        ("none.data", "expected its external weights none.data beside it, seen none"),
        ("pipe", "expected a regular file"),
        ("short", "expected 16 bytes at byte 0 of short, seen fewer"),
    ],
)
def test_external_weights_that_are_no_file_of_the_folder_are_refused(
    tmp_path: Path, location: str, message: str
) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    with_weights_at(tmp_path / "models/a.onnx", location, offset=0, length=16)
    os.mkfifo(tmp_path / "models/pipe")
    (tmp_path / "models/short").write_bytes(b"1")
    with (
        pytest.raises(ModelError, match=message) as error,
        whole_file(tmp_path / "models/a.onnx", tmp_path / "scratch"),
    ):
        pass
    assert "\n" not in str(error.value)


def test_one_file_that_many_weights_name_is_not_read_into_memory_for_each(tmp_path: Path) -> None:
    with (tmp_path / "w").open("wb") as file:
        file.truncate(1 << 30)
    tensors = []
    for index in range(4):
        tensor = TensorProto(name=f"w{index}", dims=[1 << 28], data_type=1, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="w")
        tensors.append(tensor)
    (tmp_path / "a.onnx").write_bytes(
        helper.make_model(helper.make_graph([], "g", [], [], tensors)).SerializeToString()
    )
    with pytest.raises(ModelError, match="bytes of external weights"), whole_file(tmp_path / "a.onnx", tmp_path):
        pass


@pytest.mark.parametrize(
    "kind",
    [
        "a link to nothing",
        "a link to itself",
        "a pipe",
        "a folder",
        "a device without an end",
        "an empty file",
        "a link to a pipe",
    ],
)
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.onnx"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
    elif kind.startswith("a link to "):
        path.symlink_to("a.onnx" if kind.endswith("itself") else "nothing")
    elif kind == "a folder":
        path.mkdir()
    elif kind == "an empty file":
        path.touch()
    else:
        path.symlink_to("/dev/zero")
    with (
        pytest.raises(ModelError, match=r"a\.onnx: expected a (regular file|file to read, seen \w+)"),
        whole_file(path, tmp_path / "scratch"),
    ):
        pass


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_a_copy_is_a_plain_file_of_its_own(tmp_path: Path, kind: str) -> None:
    data = write_own(tmp_path / "real.onnx", NAME)
    link = tmp_path / "link.onnx"
    link.symlink_to("real.onnx") if kind == "symlink" else link.hardlink_to(tmp_path / "real.onnx")
    target = tmp_path / "build/models/a.onnx"
    copy_verified(link, target, digest_of(data))
    assert files_in(tmp_path / "build") == {"models/a.onnx": data}
    assert not target.is_symlink()
    assert target.stat().st_nlink == 1


def test_other_bytes_than_expected_leave_what_was_there(tmp_path: Path) -> None:
    write_own(tmp_path / "a.onnx", NAME)
    target = tmp_path / "build/a.onnx"
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(DigestMismatchError):
        copy_verified(tmp_path / "a.onnx", target, Digest("0" * 64, 3))
    assert files_in(tmp_path / "build") == {"a.onnx": b"old"}
    assert digest_of_file(target) == digest_of(b"old")


def test_what_a_killed_run_left_is_written_anew_and_removed(tmp_path: Path) -> None:
    write_in_parts(tmp_path / "a.onnx", NAME, "a.onnx.data")
    expected, scratch = whole(tmp_path / "a.onnx", tmp_path / "scratch"), tmp_path / "scratch"
    (scratch / ".joined.0123abcd.part").mkdir()
    (scratch / ".joined.0123abcd.part/a.onnx").write_bytes(b"half" * 10_000)
    assert whole(tmp_path / "a.onnx", scratch) == expected
    (tmp_path / "whole.onnx").write_bytes(expected)
    (tmp_path / "build").mkdir()
    (tmp_path / "build/.a.onnx.0123abcd.part").write_bytes(b"half" * 10_000)
    copy_verified(tmp_path / "whole.onnx", tmp_path / "build/a.onnx", digest_of(expected))
    assert files_in(tmp_path / "build") == {"a.onnx": expected}
