"""emap is found by its name, else as the only 512x512 constant that nothing reads; one that was lost is refused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from morphstream.artifact.errors import ModelError
from stages.params import Params, ParamsError
from stages.prepare import prepare
from stages.surgery.emap import Emap, emap_of, find_emap
from stages.surgery.read import read_model
from stages.workspace import Workspace
from tests.stages import PARAMS, Array, document, files_in, loaded, model_of, refusal, write_params

EMAP = np.random.default_rng(9).standard_normal((512, 512)).astype(np.float32)
OTHER = np.ones((512, 512), np.float32)
INSWAPPERS = ("inswapper_128", "inswapper_128_fp16")
HYPERSWAPS = ("hyperswap_1a_256", "hyperswap_1b_256", "hyperswap_1c_256")
Edit = Callable[[onnx.ModelProto], object]


def swapper(weights: Mapping[str, Array]) -> onnx.ModelProto:
    """Return a model that reads one 512x512 weight, called used, and none of the others."""
    nodes = [helper.make_node("MatMul", ["source", "used"], ["output"])]
    return model_of(nodes, {"source": [1, 512]}, {"output": [1, 512]}, weights)


def found(model: onnx.ModelProto) -> Emap:
    emap = find_emap(model)
    assert emap is not None
    return emap


@pytest.mark.parametrize(
    "order",
    [("buff2fs", "used", "bias"), ("used", "buff2fs", "bias"), ("used", "bias", "buff2fs")],
    ids=["first", "in the middle", "last"],
)
def test_it_is_found_by_name_at_any_position(order: tuple[str, ...]) -> None:
    weights = {"buff2fs": EMAP, "used": OTHER, "bias": np.ones(3, np.float32)}
    np.testing.assert_array_equal(found(swapper({name: weights[name] for name in order})), EMAP)


@pytest.mark.parametrize("kind", [np.float16, np.float64], ids=["half", "double"])
def test_it_is_single_precision_whatever_the_file_has(kind: type[np.floating]) -> None:
    emap = found(swapper({"used": OTHER, "buff2fs": EMAP.astype(kind)}))
    assert emap.dtype == np.float32
    np.testing.assert_array_equal(emap, EMAP.astype(kind).astype(np.float32))


def test_its_name_counts_for_more_than_other_unused_ones_of_its_shape() -> None:
    np.testing.assert_array_equal(found(swapper({"used": OTHER, "x": OTHER, "buff2fs": EMAP})), EMAP)


@pytest.mark.parametrize("name", ["onnx::MatMul_1", "emap", "graph/buff2fs_cast", "0"])
def test_without_its_name_it_is_the_only_unused_one_of_its_shape(name: str) -> None:
    weights = {name: EMAP, "used": OTHER, "bias": np.ones(512, np.float32)}
    np.testing.assert_array_equal(found(swapper(weights)), EMAP)


def as_numbers(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[-1]
    values = numpy_helper.to_array(tensor).ravel().tolist()
    tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.FLOAT, [512, 512], values))
    assert not tensor.raw_data


def as_constant(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer.pop()
    model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))


def as_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("buff2fs", TensorProto.FLOAT, [512, 512]))


def as_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("buff2fs", TensorProto.FLOAT, [512, 512]))


def read_by_a_dead_node(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["buff2fs"], ["nothing"]))


@pytest.mark.parametrize("edit", [as_numbers, as_constant, as_input, as_output, read_by_a_dead_node])
def test_it_is_found_wherever_tools_put_it(edit: Edit) -> None:
    model = swapper({"used": OTHER, "buff2fs": EMAP})
    edit(model)
    np.testing.assert_array_equal(found(model), EMAP)


def test_it_is_found_in_external_data(tmp_path: Path) -> None:
    model = swapper({"used": OTHER, "buff2fs": EMAP})
    onnx.save_model(model, tmp_path / "x.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    np.testing.assert_array_equal(found(read_model(tmp_path / "x.onnx")), EMAP)


@pytest.mark.parametrize("name", ["used", "buff2fs"])
def test_a_weight_that_the_output_needs_is_no_emap(name: str) -> None:
    nodes = [helper.make_node("MatMul", ["source", name], ["output"])]
    assert find_emap(model_of(nodes, {"source": [1, 512]}, {"output": [1, 512]}, {name: EMAP})) is None


def test_a_weight_that_a_dead_node_reads_is_no_emap_without_its_name() -> None:
    model = swapper({"used": OTHER, "head": EMAP})
    model.graph.node.append(helper.make_node("MatMul", ["source", "head"], ["nothing"]))
    assert find_emap(model) is None


def test_a_weight_that_a_graph_inside_reads_is_no_emap() -> None:
    model = swapper({"used": OTHER, "head": EMAP})
    ends = [helper.make_tensor_value_info("z", TensorProto.FLOAT, [512, 512])]
    body = helper.make_graph([helper.make_node("Identity", ["head"], ["z"])], "branch", [], ends)
    model.graph.node.append(helper.make_node("If", ["flag"], ["y"], then_branch=body, else_branch=body))
    assert find_emap(model) is None


@pytest.mark.parametrize(
    ("weights", "seen"),
    [
        pytest.param({"x": OTHER, "y": EMAP}, r"x of FLOAT \[512, 512\], y of FLOAT", id="two without its name"),
        pytest.param({"buff2fs": np.ones(512, np.float32)}, r"buff2fs of FLOAT \[512\]", id="a row"),
        pytest.param({"buff2fs": np.ones((256, 256), np.float32)}, r"\[256, 256\]", id="a smaller one"),
        pytest.param({"buff2fs": np.ones((512, 512, 1), np.float32)}, r"\[512, 512, 1\]", id="three axes"),
        pytest.param({"buff2fs": np.ones((512, 512), np.int64)}, r"buff2fs of INT64", id="integers"),
        pytest.param({"buff2fs": 0 * EMAP}, "rows or columns of zeros", id="zeros"),
        pytest.param({"buff2fs": EMAP * (np.arange(512) != 7)}, "rows or columns of zeros", id="a column of zeros"),
        pytest.param({"buff2fs": np.where(EMAP > 4, np.nan, EMAP)}, "NaN or infinity", id="NaN"),
        pytest.param({"x": np.full((512, 512), np.inf, np.float32)}, "NaN or infinity", id="infinity"),
    ],
)
def test_what_can_be_no_emap_or_several_is_refused(weights: Mapping[str, Array], seen: str) -> None:
    with pytest.raises(ModelError, match=rf"^emap: expected .*seen .*{seen}.*; fetch the model again$"):
        find_emap(swapper({"used": OTHER, **weights}))


def test_two_of_its_name_are_refused() -> None:
    model = swapper({"used": OTHER, "buff2fs": EMAP})
    model.graph.initializer.append(numpy_helper.from_array(OTHER, "buff2fs"))
    with pytest.raises(ModelError, match=r"^emap: expected one buff2fs"):
        find_emap(model)


@pytest.mark.parametrize("name", INSWAPPERS)
def test_the_kit_s_inswappers_have_one(name: str) -> None:
    emap = emap_of(loaded(name), PARAMS.model(name))
    assert emap is not None
    np.testing.assert_allclose(emap @ emap.T, np.eye(512), atol=1e-5)


@pytest.mark.parametrize("name", [*HYPERSWAPS, "w600k_r50", "fan_68_5"])
def test_models_without_one_have_none(name: str) -> None:
    assert emap_of(loaded(name), PARAMS.model(name)) is None


@pytest.mark.parametrize("name", INSWAPPERS)
def test_a_swapper_that_lost_it_is_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    model = loaded(name)
    read = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    (tmp_path / "simplified.onnx").write_bytes(model.SerializeToString())
    for emap in (True, None):  # what is not said of a swapper is that it needs none
        with pytest.raises(ModelError) as error:
            prepare(replace(PARAMS.model(name), emap=emap), tmp_path / "simplified.onnx", tmp_path / "prepared")
        line = str(error.value)
        assert line.startswith(f"models/{name}.onnx: emap: expected buff2fs of shape (512, 512)")
        assert all(word in line for word in ("onnxsim", "onnxslim", "ONNX Runtime saved", "copy its buff2fs back"))
        assert "\n" not in line
        assert list(tmp_path.iterdir()) == [tmp_path / "simplified.onnx"]


def test_a_swapper_s_own_name_and_size_say_nothing_of_its_emap() -> None:
    other = replace(PARAMS.model("hyperswap_1a_256"), name="inswapper_256", emap=None)
    with pytest.raises(ModelError, match=r"say `emap: false` of inswapper_256 in params\.yaml if its source is"):
        emap_of(loaded("hyperswap_1a_256"), other)


def test_an_emap_that_params_deny_is_refused() -> None:
    denied = replace(PARAMS.model("inswapper_128"), emap=False)
    with pytest.raises(ModelError, match=r"expected no buff2fs, as params\.yaml says `emap: false`, seen one; say"):
        emap_of(loaded("inswapper_128"), denied)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("w600k_r50", True, "models.w600k_r50.emap: expected no such key for the role embedder, seen true"),
        ("gfpgan", False, "models.gfpgan.emap: expected no such key for the role restorer, seen false"),
        ("inswapper_128", "buff2fs", 'models.inswapper_128.emap: expected true or false, seen "buff2fs"'),
        ("inswapper_128", 1, "models.inswapper_128.emap: expected true or false, seen 1"),
    ],
)
def test_the_key_is_true_or_false_of_a_swapper(workspace: Workspace, name: str, value: object, message: str) -> None:
    data = document()
    data["models"][name]["emap"] = value
    with pytest.raises(ParamsError):
        write_params(workspace.root, data)
    assert message in refusal(workspace, "prepare", name)


def test_without_the_emap_that_its_contract_names_nothing_is_compiled(workspace: Workspace, built: Params) -> None:
    name = "inswapper_128_fp16"
    before = files_in(workspace.engines)
    (workspace.prepared / name / "emap.npy").unlink()
    assert "emap.npy: expected a file to read or write, seen No such file" in refusal(workspace, "compile", "cpu", name)
    assert files_in(workspace.engines) == before


@pytest.mark.parametrize("place", ["prepared/{}", "engines/{}/cpu"])
def test_an_emap_that_is_lost_or_another_is_refused(workspace: Workspace, built: Params, place: str) -> None:
    name = "inswapper_128_fp16"
    folder = workspace.build / place.format(name)
    (path,) = folder.glob("*.npy")
    np.save(path, np.load(path).T)
    assert f"{place.format(name)}: expected the emap of its original alone" in refusal(workspace, "check", name)
    path.unlink()
    assert "seen another or none; build it again" in refusal(workspace, "check", name)
