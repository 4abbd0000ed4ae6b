"""A file may call its values what edits call theirs: it is prepared, and gives the same, as under other names."""

import numpy as np
import onnx
import pytest

from stages.prepare import edit
from stages.surgery.nodes import rename
from tests.stages import PARAMS, loaded, run_model


def renamed(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    rename(model.graph.node, names)
    for value in (*model.graph.output, *model.graph.initializer):
        value.name = names.get(value.name, value.name)
    return model


@pytest.mark.parametrize("name", ["inswapper_128", "w600k_r50", "xseg_1", "bisenet_resnet_18"])
def test_values_with_the_names_of_edits_are_renamed(name: str) -> None:
    model, plain = PARAMS.model(name), edit(loaded(name), PARAMS.model(name))
    original = loaded(name)
    (made,) = (value.name for value in plain.graph.output)
    inner = [one.output[0] for one in original.graph.node[:-1]]
    names = dict(zip(inner, ["crop", "crop_cast", f"{made}_clip", f"{made}_cast", "crop_rgb"], strict=False))
    names |= {
        tensor.name: f"crop_{key}" for tensor, key in zip(original.graph.initializer, ("std", "mean"), strict=False)
    }
    odd = edit(renamed(original, names), model)
    onnx.checker.check_model(odd, full_check=True)
    crop = np.random.default_rng(3).integers(
        0, 256, (2, *(dim.dim_value for dim in plain.graph.input[0].type.tensor_type.shape.dim[1:]))
    )
    inputs = {"crop": crop.astype(np.uint8)}
    if len(plain.graph.input) > 1:
        inputs["source"] = np.ones((2, 512), np.float32)
    np.testing.assert_array_equal(run_model(odd, **inputs)[made], run_model(plain, **inputs)[made])


@pytest.mark.parametrize(
    ("name", "output"), [("w600k_r50", "embedding"), ("inswapper_128", "swapped"), ("yolov8n", "persons")]
)
def test_the_only_output_may_have_the_name_that_it_gets(name: str, output: str) -> None:
    original = loaded(name)
    prepared = edit(renamed(original, {original.graph.output[0].name: output}), PARAMS.model(name))
    onnx.checker.check_model(prepared, full_check=True)
    assert [value.name for value in prepared.graph.output] == [output]
