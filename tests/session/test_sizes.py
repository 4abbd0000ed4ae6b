"""An engine that is for several sizes of images takes each, in every session, and nothing else."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from morphstream.artifact.errors import SessionError
from morphstream.session.load import open_session
from morphstream.session.onnxruntime import OnnxRuntimeSession
from morphstream.session.openvino import OpenVINOSession
from morphstream.session.provider import CPU, RTX, TENSORRT
from morphstream.session.session import Array
from morphstream.store.store import Store
from stages.builders import Order, openvino
from tests.session.fake_gpu import FakeGpu
from tests.stages import model_of

# It returns the mean of each row of pixels, by which an image isn't mistaken for another's.
SIZES = [{"frame": (4, 4, 3), "y": (4,)}, {"frame": (2, 2, 3), "y": (2,)}, {"frame": (2, 6, 3), "y": (2,)}]
IMAGES: Mapping[tuple[int, int], Array] = {
    size: np.random.default_rng(1).random((2, *size, 3), np.float32) for size in ((4, 4), (2, 2), (2, 6))
}


def saved(folder: Path, sizes: str = json.dumps(SIZES)) -> Path:
    """Write the model, with batches of one and of two, and its sizes."""
    nodes = [helper.make_node("ReduceMean", ["frame"], ["y"], axes=[2, 3], keepdims=0)]
    model = model_of(nodes, {"frame": ["N", "H", "W", 3]}, {"y": ["N", "H"]})
    helper.set_model_props(model, {"batches": "1,2", "sizes": sizes})
    (folder / "small.onnx").write_bytes(model.SerializeToString())
    return folder / "small.onnx"


def built(folder: Path) -> Path:
    """Build its engine of OpenVINO."""
    shapes = {"frame": ((1, 4, 4, 3), (2, 4, 4, 3), (1, 2, 2, 3), (1, 2, 6, 3))}
    order = Order(
        model=saved(folder),
        archs=("x86_64",),
        precision="fp32",
        inputs=(),
        outputs=(),
        shapes=shapes,
        stem="small",
        folder=folder,
        shared=folder,
        sizes=tuple(SIZES),
    )
    openvino.build(order)
    return folder / "small.xml"


@pytest.mark.parametrize("kind", ["OpenVINO", CPU, RTX, TENSORRT])
def test_each_size_gives_what_it_is_for(tmp_path: Path, kind: str) -> None:
    choices: dict[str, Any] = {"runtime": FakeGpu(kind)} if kind in (RTX, TENSORRT) else {}
    session = (
        OpenVINOSession(built(tmp_path), threads=1)
        if kind == "OpenVINO"
        else OnnxRuntimeSession(saved(tmp_path), provider=kind, threads=1, **choices)
    )
    assert session.input_shapes == {"frame": (-1, 4, 4, 3)}
    assert list(session.sizes) == [(2, 2), (6, 2)]  # width, height
    for _ in range(2):
        for frames in IMAGES.values():
            np.testing.assert_allclose(session.run({"frame": frames})["y"], frames.mean((2, 3)), rtol=1e-5)
    for shape in ((1, 2, 4, 3), (1, 8, 8, 3), (1, 4, 4, 4)):
        with pytest.raises(SessionError, match=r"^small\.\w+: expected it to run") as caught:
            session.run({"frame": np.zeros(shape, np.float32)})
        assert len(str(caught.value).splitlines()) == 1
    session.close()


def test_a_further_size_has_a_profile_of_its_own_after_those_of_the_batches(tmp_path: Path) -> None:
    gpu = FakeGpu(RTX)
    session = OnnxRuntimeSession(saved(tmp_path), provider=RTX, threads=1, runtime=gpu)
    assert [(rows, entries["nv_profile_index"]) for rows, entries, _ in gpu.runs] == [
        (1, "0"), (2, "1"), (1, "2"), (1, "3")
    ]  # fmt: skip
    gpu.runs.clear()
    session.run({"frame": IMAGES[2, 6]})
    assert [(rows, entries["nv_profile_index"]) for rows, entries, _ in gpu.runs] == [(1, "3"), (1, "3")]


def test_a_cuda_graph_belongs_to_a_size(tmp_path: Path) -> None:
    gpu = FakeGpu(RTX)
    session = OnnxRuntimeSession(saved(tmp_path), provider=RTX, threads=1, runtime=gpu, cuda_graph=True)
    for frames in (*IMAGES.values(), *IMAGES.values()):
        np.testing.assert_allclose(session.run({"frame": frames})["y"], frames.mean((2, 3)), rtol=1e-5)
    graphs = {(entries["cuda_graph_annotation_id"], addresses) for _, entries, addresses in gpu.runs}
    assert sorted(number for number, _ in graphs) == ["1", "2", "3", "4"]


def test_tensorrt_holds_one_cuda_graph_so_that_further_sizes_are_left_out(tmp_path: Path) -> None:
    choices: dict[str, Any] = {"runtime": FakeGpu(TENSORRT), "cuda_graph": True}
    session = OnnxRuntimeSession(saved(tmp_path), provider=TENSORRT, threads=1, **choices)
    assert list(session.sizes) == []
    np.testing.assert_allclose(session.run({"frame": IMAGES[4, 4]})["y"], IMAGES[4, 4].mean((2, 3)), rtol=1e-5)


def test_a_size_that_a_fake_rtx_refuses_is_logged_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        gpu = FakeGpu(RTX, refused_profiles=("2",))
        session = OnnxRuntimeSession(saved(tmp_path), provider=RTX, threads=1, runtime=gpu)
    assert (session.batches, list(session.sizes)) == ((1, 2), [(6, 2)])
    (record,) = caplog.records
    assert record.getMessage().endswith("seen failed to call setInputShape(); it isn't used at this size")


@pytest.mark.parametrize(
    "sizes", ["", "[3]", "{}", "[]", '[{"frame": [4, 4, 3]}]', '[{"frame": ["a"], "y": [4]}]', '[{"frame": 4, "y": 4}]']
)
def test_sizes_of_another_form_are_refused(tmp_path: Path, sizes: str) -> None:
    with pytest.raises(SessionError, match=r"^small\.onnx: expected sizes, seen .+; boot or build it again$"):
        OnnxRuntimeSession(saved(tmp_path, sizes), provider=CPU, threads=1)


def test_an_engine_of_one_size_has_no_other(booted: Store) -> None:
    session = open_session(booted.current(), "w600k_r50", threads=1)
    assert list(session.sizes) == []
    session.close()


def test_the_graph_of_each_size_is_saved_when_it_was_used(booted: Store, tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (1, 320, 320, 3), np.uint8)
    seen = []
    for graphs in (1, 2, 2):
        session = open_session(booted.current(), "det_10g", threads=1, graphs=tmp_path)
        if graphs == 2:
            seen.append(session.run({"frame": frame})["anchors"].copy())
        session.close()
        assert len([*tmp_path.iterdir()]) == graphs
    np.testing.assert_array_equal(seen[0], seen[1])
