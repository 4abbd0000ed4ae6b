"""What differs first is named: a tensor, a node, a layer, a constant, a member of an archive."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import run

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.vocabulary import archive_path
from stages.pack import pack_archive
from stages.rebuild.explain import LIMITED, file_difference, model_difference, prepared_difference
from stages.rebuild.published import Published
from stages.rebuild.rebuild import compare_archive, rebuild
from tests.stages.publications import CORE, Project


def model(weights: list[float], axis: int = 0) -> onnx.ModelProto:
    """Return a small model."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in ("a", "c")]
    tensor = numpy_helper.from_array(np.array(weights, np.float32).reshape(2, 2), "weights")
    nodes = [helper.make_node("Add", ["a", "weights"], ["b"]), helper.make_node("Softmax", ["b"], ["c"], axis=axis)]
    return helper.make_model(helper.make_graph(nodes, "g", value[:1], value[1:], [tensor]))


def test_a_weight_that_is_one_step_off_is_named_with_its_place_and_both_values() -> None:
    near = float(np.nextafter(np.float32(3), np.float32(4)))
    text = model_difference(model([1, 2, 3, 4]), model([1, 2, near, 4]))
    assert text.startswith("tensor weights at (1, 0): expected")
    assert "3.0000002" in text


def test_a_node_is_named_by_its_attribute() -> None:
    assert model_difference(model([1, 2, 3, 4]), model([1, 2, 3, 4], axis=1)) == "node 1, Softmax: attribute axis"


def test_a_prepared_model_that_isnt_there_differs_in_nothing(tmp_path: Path) -> None:
    assert prepared_difference(tmp_path / "a", tmp_path / "b") == ""
    for name, weights in (("a", [1, 2, 3, 4]), ("b", [1, 2, 3, 5])):
        (tmp_path / name).mkdir()
        onnx.save(model(weights), tmp_path / name / "fp32.onnx")  # type: ignore[arg-type]
    assert "fp32.onnx: tensor weights at (1, 1)" in prepared_difference(tmp_path / "a", tmp_path / "b")


def test_a_constant_and_a_layer_of_an_engine_are_named(tmp_path: Path) -> None:
    constant = '<layer id="0" name="w" type="Const" version="1">\n<data offset="0" size="8" />'
    graph = f'{constant}\n<layer id="1" name="add">\n<x/>\n'
    for name, data, end in (("a", bytes(16), ""), ("b", bytes(5) + b"\1" + bytes(10), "<y/>")):
        (tmp_path / f"{name}.bin").write_bytes(data)
        (tmp_path / f"{name}.xml").write_text(graph + end)
    text = file_difference(tmp_path / "a.bin", tmp_path / "b.bin")
    assert text == "byte 5, of the constant w: expected 0, seen 1"
    (tmp_path / "b.xml").write_text(graph.replace("<x/>", "<z/>"))
    assert file_difference(tmp_path / "a.xml", tmp_path / "b.xml") == "line 4 of its graph, in layer add"


def test_an_archive_of_models_is_packed_again_and_what_it_lacks_is_named(tmp_path: Path) -> None:
    mine = Project.filled(tmp_path / "mine", CORE)
    with pytest.raises(MorphstreamError, match="expected one of cpu, "):
        rebuild(mine.workspace, mine.params, "nothing")


@pytest.mark.parametrize("name", ["", "hub:", "hub:one", "hub:a/b@", "hub:../a/b"])
def test_what_names_nothing_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    mine = Project.filled(tmp_path, CORE)
    with pytest.raises(MorphstreamError, match=r"expected .*, seen .*; name "):
        rebuild(mine.workspace, mine.params, name)


def test_a_file_of_build_counts_by_its_bytes_and_not_by_what_a_manifest_says_of_it(tmp_path: Path) -> None:
    mine = Project.filled(tmp_path, CORE)
    published, path = Published.of(mine.workspace), archive_path("cpu-cache-x86_64.tar.zst")
    entry = published.archive("cpu-cache-x86_64.tar.zst")
    assert entry is not None
    assert compare_archive(published, "cpu-cache-x86_64.tar.zst", entry, entry).verdict == "equal"
    (mine.workspace.build / path).write_bytes(b"another")
    found = compare_archive(published, "cpu-cache-x86_64.tar.zst", entry, entry)
    assert (found.verdict, found.seen) == ("different", entry.digest.sha256)
    assert "its file is another" in found.why
    (mine.workspace.build / path).unlink()
    assert published.digest(path, entry.digest) is None
    assert compare_archive(published, "cpu-cache-x86_64.tar.zst", entry, entry).verdict == "different"


def test_an_archive_differs_by_its_level_or_by_a_member(tmp_path: Path) -> None:
    mine = Project.filled(tmp_path, CORE)
    published, name, source = Published.of(mine.workspace), "models-core-masks.tar.zst", tmp_path / "a"
    source.write_bytes(b"member " * 5000)
    options = mine.params.archive
    one, fast = (
        pack_archive({"a": source}, tmp_path / f"{level}", replace(options, level=level))
        for level in (options.level, 1)
    )
    assert "another level" in compare_archive(published, name, one, fast).why
    source.write_bytes(b"other")
    other = pack_archive({"a": source}, tmp_path / "other", options)
    assert compare_archive(published, name, one, other).why == "its member a differs"


def test_the_features_that_are_switched_off_are_those_that_numpy_asks_for() -> None:
    for environment in LIMITED.values():
        program = [sys.executable, "-W", "error", "-c", "import numpy"]
        found = run(program, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
        assert "not part of the dispatched" not in found.stderr
