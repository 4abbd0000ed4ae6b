"""emap is found by its name, else as the only unused 512x512 initializer; never by position, never by guess."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.surgery.emap import find_emap
from tests.stages import Array, loaded, model_of

EMAP = np.random.default_rng(9).standard_normal((512, 512)).astype(np.float32)
OTHER = np.ones((512, 512), np.float32)


def swapper(weights: Mapping[str, Array]) -> onnx.ModelProto:
    """Return a model that reads one 512x512 weight, called used, and none of the others."""
    nodes = [helper.make_node("MatMul", ["source", "used"], ["output"])]
    return model_of(nodes, {"source": [1, 512]}, {"output": [1, 512]}, weights)


@pytest.mark.parametrize(
    "order",
    [("buff2fs", "used", "bias"), ("used", "buff2fs", "bias"), ("used", "bias", "buff2fs")],
    ids=["first", "in the middle", "last"],
)
def test_it_is_found_by_name_at_any_position(order: tuple[str, ...]) -> None:
    weights = {"buff2fs": EMAP, "used": OTHER, "bias": np.ones(3, np.float32)}
    np.testing.assert_array_equal(found(swapper({name: weights[name] for name in order})), EMAP)


def test_it_is_single_precision_where_the_file_has_half() -> None:
    emap = found(swapper({"used": OTHER, "buff2fs": EMAP.astype(np.float16)}))
    assert emap.dtype == np.float32
    np.testing.assert_array_equal(emap, EMAP.astype(np.float16).astype(np.float32))


def test_its_name_counts_for_more_than_other_unused_ones_of_its_shape() -> None:
    np.testing.assert_array_equal(found(swapper({"used": OTHER, "x": OTHER, "buff2fs": EMAP})), EMAP)


def test_without_its_name_it_is_the_only_unused_one_of_its_shape() -> None:
    weights = {"onnx::MatMul_1": EMAP, "used": OTHER, "bias": np.ones(512, np.float32)}
    np.testing.assert_array_equal(found(swapper(weights)), EMAP)


def test_a_weight_that_a_node_reads_is_no_emap() -> None:
    assert find_emap(swapper({"used": EMAP})) is None


def test_two_candidates_are_refused() -> None:
    with pytest.raises(ModelError, match=r"^emap: expected one initializer buff2fs .*, seen \[\(512, 512\), "):
        find_emap(swapper({"used": OTHER, "x": OTHER, "y": EMAP}))


def test_two_of_its_name_are_refused() -> None:
    model = swapper({"used": OTHER, "buff2fs": EMAP})
    model.graph.initializer.append(numpy_helper.from_array(OTHER, "buff2fs"))
    with pytest.raises(ModelError, match=r"^emap: expected one initializer buff2fs"):
        find_emap(model)


@pytest.mark.parametrize("shape", [(512,), (256, 256), (512, 512, 1)], ids=str)
def test_another_shape_under_its_name_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"^emap: expected .* shape \(512, 512\), seen \[\(.*; fetch the model again$"):
        find_emap(swapper({"used": OTHER, "buff2fs": np.ones(shape, np.float32)}))


@pytest.mark.parametrize("name", ["inswapper_128", "inswapper_128_fp16"])
def test_the_kit_s_inswappers_have_one(name: str) -> None:
    emap = found(loaded(name))
    np.testing.assert_allclose(emap @ emap.T, np.eye(512), atol=1e-5)


@pytest.mark.parametrize("name", ["hyperswap_1a_256", "w600k_r50", "fan_68_5"])
def test_models_without_one_have_none(name: str) -> None:
    assert find_emap(loaded(name)) is None


def found(model: onnx.ModelProto) -> npt.NDArray[np.float32]:
    emap = find_emap(model)
    assert emap is not None
    return emap
