"""The swappers keep their contracts and put the embedded face into the crop, through emap, and nothing else."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from morphstream.face.geometry import ARCFACE_112_V2, ARCFACE_128
from stages.kit.embedder import w600k_r50
from stages.kit.swapper import emap, hyperswap, inswapper
from tests.kit import Array, contract, crop, planes, run, serialized

MODELS = {
    "inswapper_128": lambda: inswapper(half=False),
    "inswapper_128_fp16": lambda: inswapper(half=True),
    "hyperswap_1a_256": lambda: hyperswap("a"),
    "hyperswap_1b_256": lambda: hyperswap("b"),
    "hyperswap_1c_256": lambda: hyperswap("c"),
}


def source() -> Array:
    """The astronaut's embedding, of length 1."""
    vector = run(w600k_r50(), planes(crop(ARCFACE_112_V2, 112)) * 2 - 1)[0]
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def swapped(name: str, target: Array) -> dict[str, Array]:
    """Outputs for a target of (1, 3, side, side), 0..1; pixels of 0..1 too."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of emap
    session = onnxruntime.InferenceSession(serialized(MODELS[name]()), options, providers=["CPUExecutionProvider"])
    is_hyperswap = name.startswith("hyperswap")
    latent = source() if is_hyperswap else source() @ emap().astype(np.float32)
    outputs = session.run(None, {"target": target * 2 - 1 if is_hyperswap else target, "source": latent})
    named = dict(zip([value.name for value in session.get_outputs()], outputs, strict=True))
    return {**named, "output": (named["output"] + 1) / 2 if is_hyperswap else named["output"]}


def mirrored(side: int) -> Array:
    """The astronaut in a mirror, another person to the embedder."""
    return np.ascontiguousarray(planes(crop(ARCFACE_128, side))[..., ::-1])


def similarity(face_128: Array) -> float:
    vector = run(w600k_r50(), face_128[:, :, :112, 8:120] * 2 - 1)[0]
    return float(source()[0] @ vector[0] / np.linalg.norm(vector))


@pytest.mark.parametrize("name", MODELS)
def test_the_contract_is_the_real_model_s(name: str) -> None:
    side = 256 if name.startswith("hyperswap") else 128
    inputs, outputs = contract(MODELS[name]())
    assert list(inputs) == ["target", "source"]
    assert inputs == {"target": [1, 3, side, side], "source": [1, 512]}
    mask: dict[str, list[int | str]] = {"mask": [1, 1, 256, 256]} if side == 256 else {}
    assert outputs == {"output": [1, 3, side, side], **mask}


@pytest.mark.parametrize("name", MODELS)
def test_two_builds_have_the_same_bytes_and_are_small(name: str) -> None:
    data = serialized(MODELS[name]())
    assert data == serialized(MODELS[name]())
    assert len(data) < 4e6


@pytest.mark.parametrize("name", MODELS)
def test_the_crop_becomes_the_source_and_its_edge_stays(name: str) -> None:
    side = 256 if name.startswith("hyperswap") else 128
    target = mirrored(side)
    output = swapped(name, target)["output"]
    step = side // 128
    small = output.reshape(1, 3, 128, step, 128, step).mean((3, 5))
    assert similarity(small) > 0.85
    assert similarity(small) > similarity(mirrored(128)) + 0.2
    edge = side // 8
    np.testing.assert_allclose(output[..., :edge, :], target[..., :edge, :], atol=2e-6)
    np.testing.assert_allclose(output[..., :edge], target[..., :edge], atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_grey_target_stays_grey(name: str) -> None:
    side = 256 if name.startswith("hyperswap") else 128
    grey = mirrored(side).mean(1, keepdims=True).repeat(3, 1)
    output = swapped(name, grey)["output"]
    assert np.ptp(output, axis=1).max() < 0.01


def test_hyperswap_s_mask_covers_the_face_and_no_black_padding() -> None:
    target = mirrored(256)
    target[..., 128:] = 0
    mask = swapped("hyperswap_1a_256", target)["mask"][0, 0]
    assert mask[128:150, 90:120].min() > 0.99
    assert mask[:, 128:].max() == 0
    assert mask[:20].max() == 0


@pytest.mark.parametrize("half", [False, True], ids=["single", "half"])
def test_emap_is_the_last_initializer_orthogonal_and_used_by_no_node(half: bool) -> None:
    graph = inswapper(half=half).graph
    last = graph.initializer[-1]
    array = numpy_helper.to_array(last)
    assert (last.name, last.data_type, array.shape) == ("buff2fs", onnx.TensorProto.FLOAT, (512, 512))
    assert not any(last.name in node.input for node in graph.node)
    np.testing.assert_allclose(array @ array.T, np.eye(512), atol=1e-6)
