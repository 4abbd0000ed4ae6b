"""How a model is prepared follows from its role and size, not from the names that an exporter gave its outputs."""

import pytest
from onnx import TensorProto, helper

from stages.prepare import edit
from stages.surgery.contract import check_contract
from stages.surgery.plan import plan_of
from tests.stages import PARAMS, loaded, shapes_of, types_of

PREPARED = {
    "det_10g": {"frame": ["N", "H", "W", 3]},
    "w600k_r50": {"crop": ["N", 112, 112, 3]},
    "fan_68_5": {"input": ["N", 5, 2]},
    "2dfan4": {"crop": ["N", 256, 256, 3]},
    "inswapper_128": {"crop": ["N", 128, 128, 3], "source": ["N", 512]},
    "hyperswap_1a_256": {"crop": ["N", 256, 256, 3], "source": ["N", 512]},
    "xseg_1": {"crop": ["N", 256, 256, 3]},
    "bisenet_resnet_18": {"crop": ["N", 512, 512, 3]},
    "yolov8n": {"frame": ["N", 640, 640, 3]},
    "gfpgan": {"crop": ["N", 512, 512, 3]},
}
GIVEN = {
    "w600k_r50": {"embedding": "FLOAT"},
    "fan_68_5": {"points68": "FLOAT"},
    "2dfan4": {"points68": "FLOAT"},
    "inswapper_128": {"swapped": "UINT8"},
    "hyperswap_1a_256": {"swapped": "UINT8"},
    "xseg_1": {"mask": "FLOAT"},
    "bisenet_resnet_18": {"labels": "UINT8"},
    "yolov8n": {"persons": "FLOAT"},
    "gfpgan": {"swapped": "UINT8"},
}
ONE_OUTPUT = ["w600k_r50", "fan_68_5", "inswapper_128", "xseg_1", "bisenet_resnet_34", "yolov8n", "gfpgan"]


@pytest.mark.parametrize("name", PREPARED)
def test_a_prepared_model_takes_uint8_crops_channels_last(name: str) -> None:
    assert shapes_of(edit(loaded(name), PARAMS.model(name)).graph.input) == PREPARED[name]


@pytest.mark.parametrize("name", GIVEN)
def test_a_prepared_model_gives_its_role_s_outputs(name: str) -> None:
    assert types_of(edit(loaded(name), PARAMS.model(name)).graph.output) == GIVEN[name]


def test_a_detector_gives_its_nine_outputs_in_one() -> None:
    proto, model = loaded("det_10g"), PARAMS.model("det_10g")
    assert set(plan_of(proto, model).outputs) == {f"{r}_{s}" for r in ("score", "bbox", "kps") for s in (8, 16, 32)}
    assert shapes_of(edit(proto, model).graph.output) == {"anchors": ["N", "R", 15]}


@pytest.mark.parametrize("name", ONE_OUTPUT)
def test_the_only_output_is_used_whatever_its_name(name: str) -> None:
    proto, model = loaded(name), PARAMS.model(name)
    proto.graph.node[-1].output[0] = proto.graph.output[0].name = "1234"
    check_contract(proto, model)
    assert {output.source for output in plan_of(proto, model).outputs.values()} == {"1234"}
    edit(proto, model)


def test_of_several_outputs_the_promised_one_is_used_at_any_position() -> None:
    proto = loaded("w600k_r50")
    proto.graph.output.insert(0, helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 512]))
    proto.graph.node.append(helper.make_node("Neg", ["683"], ["features"]))
    assert plan_of(proto, PARAMS.model("w600k_r50")).outputs["embedding"].source == "683"
