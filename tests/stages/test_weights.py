"""A model whose weights stay in their files is checked, converted and written like one that holds them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.surgery.read import read_model
from stages.surgery.weights import array_of, as_inputs, is_stored, retype, write_model
from tests.stages import PARAMS, Array, loaded, original, run_model
from tests.stages.onnx_files import WEIGHT, node, put, small


def read(folder: Path, name: str) -> onnx.ModelProto:
    """Read a model of the kit from a file."""
    (folder / "model.onnx").write_bytes(original(name))
    return read_model(folder / "model.onnx")


@pytest.mark.parametrize("name", PARAMS.models)
def test_a_model_is_written_as_it_was_read(tmp_path: Path, name: str) -> None:
    write_model(read(tmp_path, name), tmp_path / "written.onnx")
    assert onnx.load_model(tmp_path / "written.onnx") == loaded(name)
    write_model(loaded(name), tmp_path / "whole.onnx")
    assert (tmp_path / "whole.onnx").read_bytes() == (tmp_path / "written.onnx").read_bytes()


def test_a_model_that_was_read_is_small_and_its_shapes_and_scalars_are_there(tmp_path: Path) -> None:
    light, whole = read(tmp_path, "w600k_r50"), loaded("w600k_r50")
    assert light.ByteSize() < whole.ByteSize() / 8
    for tensor, other in zip(light.graph.initializer, whole.graph.initializer, strict=True):
        assert is_stored(tensor) == (len(other.raw_data) > 4096)
        np.testing.assert_array_equal(array_of(tensor), numpy_helper.to_array(other))


@pytest.mark.parametrize("field", ["raw_data", "float_data"])
def test_weights_are_read_from_every_field_that_holds_their_bytes(tmp_path: Path, field: str) -> None:
    model = small()
    if field == "float_data":
        model.graph.initializer[0].ClearField("raw_data")
        model.graph.initializer[0].float_data.extend(WEIGHT.ravel())
    (tensor,) = read_model(put(model, tmp_path)).graph.initializer
    assert is_stored(tensor)
    np.testing.assert_array_equal(array_of(tensor), WEIGHT)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE])
def test_numbers_are_converted_as_they_are_read(tmp_path: Path, kind: int) -> None:
    values = WEIGHT.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    model = small(weights={"w": np.tile(values, (4, 1))})
    (tensor,) = read_model(put(model, tmp_path)).graph.initializer
    assert is_stored(tensor)
    retype(tensor, TensorProto.FLOAT)
    np.testing.assert_array_equal(array_of(tensor), np.tile(values.astype(np.float32), (4, 1)))


def test_half_precision_makes_no_number_infinite_and_none_zero(tmp_path: Path) -> None:
    odd: Array = np.zeros((40, 40), np.float32)
    odd[0, :6] = [1e-12, -1e-12, 1e9, -1e9, 0.0, 1.5]
    (tensor,) = read_model(put(small(weights={"w": odd}), tmp_path)).graph.initializer
    retype(tensor, TensorProto.FLOAT16)
    np.testing.assert_array_equal(
        array_of(tensor)[0, :6], np.array([2**-24, -(2**-24), 65504, -65504, 0, 1.5], np.float16)
    )


@pytest.mark.parametrize("count", [5, 40], ids=["of a shape's size", "of a weight's size"])
@pytest.mark.parametrize(("number", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_numbers_that_are_none_are_refused_by_the_weight_s_name(
    tmp_path: Path, count: int, number: float, word: str
) -> None:
    bad = np.ones((40, count), np.float32)
    bad[3, 2] = number
    model = read_model(put(small(node("MatMul", "x w", "y"), weights={"w": bad}), tmp_path))
    with pytest.raises(ModelError, match=f"^tensor w: expected finite numbers, seen {word}; export a checkpoint"):
        write_model(model, tmp_path / "written.onnx")


def test_a_single_number_may_be_infinite_as_masks_are_filled_with_it(tmp_path: Path) -> None:
    model = small(node("Max", "x low", "y"), weights={"low": np.array(-np.inf, np.float32)})
    write_model(read_model(put(model, tmp_path)), tmp_path / "written.onnx")
    x = np.ones((1, 40), np.float32)
    np.testing.assert_array_equal(run_model(onnx.load_model(tmp_path / "written.onnx"), x=x)["y"], x)


def test_a_file_that_is_cut_meanwhile_is_refused(tmp_path: Path) -> None:
    path = put(small(), tmp_path)
    model = read_model(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"expected a file that stays as it is"):
        write_model(model, tmp_path / "written.onnx")


def test_weights_as_inputs_make_a_valid_model_of_a_few_kilobytes() -> None:
    light = as_inputs(loaded("w600k_r50"))
    onnx.checker.check_model(light, full_check=True)
    assert light.ByteSize() < loaded("w600k_r50").ByteSize() / 10
