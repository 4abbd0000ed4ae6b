"""An engine for the CPU calculates as the prepared model does, and what is broken is refused in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from onnx import helper

from morphstream.artifact.errors import SessionError
from morphstream.session.openvino import _TYPES, OpenVINOSession
from morphstream.session.openvino_library import openvino as library
from morphstream.session.session import Array
from morphstream.store.store import Store
from stages.builders import Order, openvino
from stages.prepare import save_model
from tests.conftest import MODELS
from tests.stages import model_of

SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "det_10g": {"frame": (-1, 640, 640, 3)},
    "w600k_r50": {"crop": (-1, 112, 112, 3)},
    "inswapper_128": {"crop": (-1, 128, 128, 3), "source": (-1, 512)},
    "inswapper_128_fp16": {"crop": (-1, 128, 128, 3), "source": (-1, 512)},
    "hyperswap_1a_256": {"crop": (-1, 256, 256, 3), "source": (-1, 512)},
    "xseg_1": {"crop": (-1, 256, 256, 3)},
}
OUTPUTS: dict[str, dict[str, tuple[int, ...]]] = {
    "det_10g": {"anchors": (1, 16800, 15)},
    "w600k_r50": {"embedding": (1, 512)},
    "inswapper_128": {"swapped": (1, 128, 128, 3)},
    "inswapper_128_fp16": {"swapped": (1, 128, 128, 3)},
    "hyperswap_1a_256": {"swapped": (1, 256, 256, 4)},
    "xseg_1": {"mask": (1, 256, 256, 1)},
}


def opened(store: Store, model: str) -> OpenVINOSession:
    return OpenVINOSession(store.current().files_of(model)["ir"], threads=1)


def inputs_of(model: str) -> dict[str, Array]:
    """Return seeded inputs: smooth pixels, as photos have them, and a latent of length 1."""
    generator = np.random.default_rng(0)
    inputs: dict[str, Array] = {}
    for name, (batch, *shape) in SHAPES[model].items():
        if name == "source":
            latent = generator.standard_normal((1, 512)).astype(np.float32)
            inputs[name] = latent / np.linalg.norm(latent)
        else:
            coarse = generator.integers(30, 220, (abs(batch), shape[0] // 16, shape[1] // 16, 3), np.uint8)
            inputs[name] = coarse.repeat(16, axis=1).repeat(16, axis=2)
    return inputs


def built(folder: Path, **outputs: str) -> OpenVINOSession:
    """Return an engine whose outputs are an operator each, of ``x`` (N, 3)."""
    nodes = [helper.make_node(operator, ["x"], [name]) for name, operator in outputs.items()]
    model = model_of(nodes, {"x": ["N", 3]}, {name: ["N", 3] for name in outputs})
    save_model(model, folder / "small.onnx")
    openvino.build(
        Order(
            model=folder / "small.onnx",
            archs=("x86_64",),
            precision="fp32",
            inputs=(),
            outputs=(),
            shapes={"x": ((1, 3), (1, 3), (8, 3))},
            stem="small",
            folder=folder,
            shared=folder,
        )
    )
    return OpenVINOSession(folder / "small.xml", threads=1)


@pytest.mark.parametrize("model", MODELS)
def test_inputs_and_outputs_have_the_contracts_names_and_shapes(booted: Store, model: str) -> None:
    session = opened(booted, model)
    assert session.input_shapes == SHAPES[model]
    outputs = session.run(inputs_of(model))
    assert {name: outputs[name].shape for name in OUTPUTS[model]} == OUTPUTS[model]
    session.close()


@pytest.mark.parametrize("model", MODELS)
def test_an_engine_calculates_in_single_precision_as_the_prepared_model_does(
    booted: Store, published: Path, model: str
) -> None:
    """On a CPU with bfloat16, OpenVINO's own choice is off by 0.065 here."""
    session, inputs = opened(booted, model), inputs_of(model)
    prepared = str(published / "prepared" / model / "fp32.onnx")
    reference = onnxruntime.InferenceSession(prepared, providers=["CPUExecutionProvider"])
    names = list(OUTPUTS[model])
    outputs = session.run(inputs)
    for name, expected in zip(names, reference.run(names, inputs), strict=True):
        seen = outputs[name]
        if seen.dtype == np.uint8:
            off = np.abs(seen.astype(int) - expected)
            assert off.max() <= 1
            assert off.mean() < 1e-3
        else:
            np.testing.assert_allclose(seen, expected, atol=1e-4, rtol=1e-4)
    session.close()


def test_a_batch_gives_each_what_it_gets_alone(booted: Store) -> None:
    session = opened(booted, "w600k_r50")
    crops = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    together = session.run({"crop": crops})["embedding"].copy()
    alone = [session.run({"crop": crop[None]})["embedding"][0].copy() for crop in crops]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_inputs_need_not_be_contiguous(booted: Store) -> None:
    session = opened(booted, "w600k_r50")
    crop = np.random.default_rng(0).integers(0, 256, (1, 112, 112, 3), np.uint8)
    mirrored = crop[:, :, ::-1]
    seen = session.run({"crop": mirrored})["embedding"].copy()
    np.testing.assert_array_equal(seen, session.run({"crop": np.ascontiguousarray(mirrored)})["embedding"])


@pytest.mark.parametrize(
    ("value", "operator"), [(-1.0, "Sqrt"), (0.0, "Log"), (0.0, "Reciprocal")], ids=["NaN", "-infinity", "infinity"]
)
def test_an_output_that_is_no_number_is_refused_with_its_name(tmp_path: Path, value: float, operator: str) -> None:
    session = built(tmp_path, fine="Abs", odd=operator)
    good = np.ones((1, 3), np.float32)
    bad = np.array([[1, value, 1]], np.float32)
    with pytest.raises(SessionError, match=r"^small\.xml: expected numbers in odd, seen NaN or infinity$"):
        session.run({"x": bad})
    assert np.isfinite(session.run({"x": good})["odd"]).all()  # the next frame is another matter


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param({"x": np.ones((1, 4), np.float32)}, id="another shape"),
        pytest.param({"y": np.ones((1, 3), np.float32)}, id="another name"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_one_line(tmp_path: Path, inputs: dict[str, Array]) -> None:
    with pytest.raises(SessionError, match=r"^small\.xml: expected it to run, seen .+") as caught:
        built(tmp_path, fine="Abs").run(inputs)
    assert len(str(caught.value).splitlines()) == 1


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        pytest.param(".xml", _cut, id="a cut graph"),
        pytest.param(".xml", lambda path: path.write_bytes(bytes(range(256))), id="a graph of other bytes"),
        pytest.param(".xml", lambda path: path.write_bytes(b""), id="an empty graph"),
        pytest.param(".xml", Path.unlink, id="no graph"),
        pytest.param(".bin", _cut, id="cut weights"),
        pytest.param(".bin", Path.unlink, id="no weights"),
    ],
)
def test_a_broken_engine_is_refused_in_one_line(
    own_store: Store, suffix: str, damage: Callable[[Path], object]
) -> None:
    path = own_store.current().files_of("inswapper_128")["ir"]
    damage(path.with_suffix(suffix))
    with pytest.raises(
        SessionError, match=rf"^{path.name}: expected an engine for OpenVINO, seen .+; boot again$"
    ) as e:
        OpenVINOSession(path, threads=1)
    assert len(str(e.value).splitlines()) == 1


def test_another_precision_than_was_asked_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for float16, OpenVINO calculates in what the CPU has instead, and says so afterwards only."""
    if "FP16" in library.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("needs a CPU without float16")
    built(tmp_path, fine="Abs").close()
    monkeypatch.setitem(_TYPES, "fp16", library.Type.f16)
    expected = r"^small\.xml: expected fp16, seen (bf16|f32) on this CPU; run: morphstream boot --target cpu$"
    with pytest.raises(SessionError, match=expected):
        OpenVINOSession(tmp_path / "small.xml", threads=1, precision="fp16")


def test_outputs_are_those_of_the_last_run(tmp_path: Path) -> None:
    session = built(tmp_path, fine="Neg")
    first: npt.NDArray[np.float32] = session.run({"x": np.ones((1, 3), np.float32)})["fine"].copy()
    second = session.run({"x": np.full((2, 3), 2, np.float32)})["fine"]
    np.testing.assert_array_equal(first, -np.ones((1, 3)))
    np.testing.assert_array_equal(second, -2 * np.ones((2, 3)))
