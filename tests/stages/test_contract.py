"""A model that keeps its role's contract is accepted, and whatever breaks it is refused by name, expected and seen."""

from collections.abc import Callable

import onnx
import pytest
from onnx import TensorProto, helper

from morphstream.artifact.errors import ModelError
from stages.surgery.contract import check_contract, detector_outputs
from tests.stages import PARAMS, loaded

Alteration = Callable[[onnx.ModelProto], object]


def first_input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    value: onnx.ValueInfoProto = model.graph.input[0]
    return value


def first_output(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    value: onnx.ValueInfoProto = model.graph.output[0]
    return value


def renamed(value: Callable[[onnx.ModelProto], onnx.ValueInfoProto], name: str) -> Alteration:
    return lambda model: setattr(value(model), "name", name)


def typed(value: Callable[[onnx.ModelProto], onnx.ValueInfoProto], kind: int) -> Alteration:
    return lambda model: setattr(value(model).type.tensor_type, "elem_type", kind)


def sized(value: Callable[[onnx.ModelProto], onnx.ValueInfoProto], axis: int, size: int) -> Alteration:
    return lambda model: setattr(value(model).type.tensor_type.shape.dim[axis], "dim_value", size)


def shorter(value: Callable[[onnx.ModelProto], onnx.ValueInfoProto]) -> Alteration:
    return lambda model: value(model).type.tensor_type.shape.dim.pop()


def swapped_inputs(model: onnx.ModelProto) -> None:
    inputs = list(model.graph.input)[::-1]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def another_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


def scalar_sequence(model: onnx.ModelProto) -> None:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1, 512]))
    model.graph.output[0].type.CopyFrom(kind)


def without_points(model: onnx.ModelProto) -> None:
    for _ in range(3):
        model.graph.output.pop()


def scrfd(shapes: dict[str, list[int | str]]) -> onnx.ModelProto:
    """Return a detector of nothing but inputs and outputs, which is all that a contract looks at."""
    image = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, "h", "w"])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    return helper.make_model(helper.make_graph([], "scrfd", [image], outputs))


def insightface() -> dict[str, list[int | str]]:
    """Return det_10g's outputs as InsightFace exports them: numbers for names, 2-D, rows unknown."""
    names = {1: ("448", "471", "494"), 4: ("451", "474", "497"), 10: ("454", "477", "500")}
    return {name: ["rows", width] for width, three in names.items() for name in three}


@pytest.mark.parametrize("name", PARAMS.models)
def test_every_model_of_the_kit_keeps_its_contract(name: str) -> None:
    check_contract(loaded(name), PARAMS.model(name))


@pytest.mark.parametrize(
    ("name", "alteration", "message"),
    [
        pytest.param(
            "xseg_1",
            renamed(first_input, "image"),
            r"inputs: expected \['input'\], seen \['image'\]",
            id="input of another name",
        ),
        pytest.param(
            "xseg_1", another_input, r"inputs: expected \['input'\], seen \['input', 'mask'\]", id="another input"
        ),
        pytest.param(
            "fan_68_5",
            shorter(first_input),
            r"input input: expected shape \(1, 5, 2\), seen \(1, 5\)",
            id="input of another rank",
        ),
        pytest.param(
            "gfpgan",
            sized(first_input, 2, 256),
            r"input input: expected shape \(1, 3, 512, 512\), seen \(1, 3, 256, 512\)",
            id="input of another size",
        ),
        pytest.param(
            "2dfan4",
            typed(first_input, TensorProto.UINT8),
            "input input: expected float32 or float16, seen UINT8",
            id="input of another type",
        ),
        pytest.param(
            "bisenet_resnet_18",
            renamed(first_output, "logits"),
            r"outputs: expected \['output'\], seen \['logits', '0', '1'\]",
            id="one of several outputs missing",
        ),
        pytest.param(
            "xseg_1",
            shorter(first_output),
            r"output output: expected shape \(-1, 256, 256, 1\), seen \(-1, 256, 256\)",
            id="output of another rank",
        ),
        pytest.param(
            "w600k_r50",
            sized(first_output, 1, 256),
            r"output 683: expected shape \(-1, 512\), seen \(-1, 256\)",
            id="output of another size",
        ),
        pytest.param(
            "yolov8n",
            typed(first_output, TensorProto.INT64),
            "output output0: expected float32 or float16, seen INT64",
            id="output of another type",
        ),
        pytest.param(
            "w600k_r50", scalar_sequence, r"output 683: expected shape \(-1, 512\), seen ", id="output no tensor"
        ),
        pytest.param(
            "det_10g",
            sized(first_output, 2, 2),
            r"outputs: expected 3 of width 1 \(scores\), 3 of 4 \(boxes\), 3 of 10 \(points\), seen ",
            id="score of another width",
        ),
        pytest.param(
            "det_10g",
            lambda model: model.graph.output.pop(),
            r"outputs: expected 3 of width 1 \(scores\), 3 of 4 \(boxes\), 3 of 10 \(points\), seen ",
            id="detector without an output",
        ),
        pytest.param(
            "det_10g",
            without_points,
            r"outputs: expected 3 of width 1 \(scores\), 3 of 4 \(boxes\), 3 of 10 \(points\), seen ",
            id="detector without points",
        ),
        pytest.param(
            "det_10g",
            sized(first_output, 1, 1280),
            r"output score_8: expected 12800 rows, 2-D or 3-D, seen \(1, 1280, 1\)",
            id="detector of another size",
        ),
        pytest.param(
            "w600k_r50",
            lambda model: model.graph.output.pop(),
            r"outputs: expected \['683'\], seen \[\]",
            id="no output at all",
        ),
        pytest.param(
            "hyperswap_1a_256",
            lambda model: model.graph.output.pop(),
            r"outputs: expected \['output', 'mask'\], seen \['output'\]",
            id="hyperswap without its mask",
        ),
    ],
)
def test_a_broken_contract_is_refused_by_name(name: str, alteration: Alteration, message: str) -> None:
    model = PARAMS.model(name)
    proto = loaded(name)
    alteration(proto)
    remedy = f"fetch the {model.role} that params name, or export it so"
    with pytest.raises(ModelError, match=f"^{model.file}: {message}.*; {remedy}$"):
        check_contract(proto, model)


def test_an_input_with_a_value_of_its_own_is_refused() -> None:
    proto = loaded("inswapper_128")
    proto.graph.initializer.append(helper.make_tensor("source", TensorProto.FLOAT, [1, 512], [0.0] * 512))
    with pytest.raises(
        ModelError, match="input source: expected no value of its own, seen an initializer of that name"
    ):
        check_contract(proto, PARAMS.model("inswapper_128"))


def test_the_model_of_another_role_is_refused() -> None:
    with pytest.raises(ModelError, match=r"xseg_1\.onnx: inputs: expected \['input'\], seen \['input\.1'\]"):
        check_contract(loaded("w600k_r50"), PARAMS.model("xseg_1"))


def test_a_fixed_batch_is_accepted_where_params_say_dynamic() -> None:
    proto = loaded("xseg_1")
    sized(first_input, 0, 1)(proto)
    sized(first_output, 0, 1)(proto)
    check_contract(proto, PARAMS.model("xseg_1"))


def test_the_only_output_may_have_any_name() -> None:
    proto = loaded("w600k_r50")
    proto.graph.node[-1].output[0] = proto.graph.output[0].name = "embedding"
    check_contract(proto, PARAMS.model("w600k_r50"))


def test_a_half_precision_file_is_accepted() -> None:
    proto = loaded("inswapper_128_fp16")
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    check_contract(proto, PARAMS.model("inswapper_128_fp16"))


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(["448", "471", "494", "451", "474", "497", "454", "477", "500"], id="by role"),
        pytest.param(["448", "451", "454", "471", "474", "477", "494", "497", "500"], id="by stride"),
        pytest.param(["454", "477", "500", "451", "474", "497", "448", "471", "494"], id="points first"),
    ],
)
def test_a_detector_s_outputs_are_known_by_shape_not_by_name_or_place(order: list[str]) -> None:
    shapes = insightface()
    proto = scrfd({name: shapes[name] for name in order})
    check_contract(proto, PARAMS.model("det_10g"))
    roles = [f"{role}_{stride}" for role in ("score", "bbox", "kps") for stride in (8, 16, 32)]
    names = ["448", "471", "494", "451", "474", "497", "454", "477", "500"]
    assert detector_outputs(proto.graph.output) == dict(zip(roles, names, strict=True))


def test_strides_in_another_order_are_not_mixed_up() -> None:
    shapes = insightface() | {"494": [800, 1], "471": [3200, 1], "448": [12800, 1]}
    order = ["494", "471", "448", "451", "474", "497", "454", "477", "500"]
    with pytest.raises(ModelError, match="output 494: expected 12800 rows"):
        check_contract(scrfd({name: shapes[name] for name in order}), PARAMS.model("det_10g"))


@pytest.mark.parametrize("name", ["inswapper_128", "hyperswap_1a_256"])
def test_inputs_may_stand_in_any_order(name: str) -> None:
    model = loaded(name)
    swapped_inputs(model)
    check_contract(model, PARAMS.model(name))
