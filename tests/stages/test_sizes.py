"""Every builder is asked for each size that a detector is for, and each engine is compared with its original at all."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from morphstream.artifact.errors import ModelError
from stages.builders import Order, tensorrt, tensorrt_rtx
from stages.builders.order import order_of
from stages.compile import compile_model
from stages.exclusive import engine_folder
from stages.parity.compare import compare
from stages.parity.engine import run_engine
from stages.prepare import prepare, save_model
from stages.workspace import Workspace
from tests.stages import PARAMS, loaded, needs_rtx
from tests.stages.test_batch_models import as_insightface

MODEL, CPU, RTX = PARAMS.model("det_10g"), PARAMS.target("cpu"), PARAMS.target("rtx-sm89")


def with_open_resizing(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a detector that resizes by factors."""
    for node in model.graph.node:
        if node.op_type == "Resize":
            node.input[:] = [*node.input[:2], "factors"]
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "factors"))
    return model


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Where the detector is prepared, of a file that takes any size, and built for the CPU."""
    workspace = Workspace(tmp_path_factory.mktemp("sizes"))
    file = workspace.build / MODEL.file
    file.parent.mkdir(parents=True)
    save_model(with_open_resizing(as_insightface(loaded("det_10g"))), file)
    prepare(MODEL, file, workspace.prepared / MODEL.name)
    compile_model(CPU, workspace.prepared / MODEL.name, engine_folder(workspace, CPU, MODEL.name), workspace.timing)
    return workspace


@pytest.fixture
def order(workspace: Workspace, tmp_path: Path) -> Order:
    """Order its engine for a GPU."""
    (tmp_path / "engine").mkdir()
    return order_of(tensorrt_rtx, RTX, workspace.prepared / MODEL.name, tmp_path / "engine", tmp_path)[0]


def test_an_engine_is_for_all_batches_at_its_own_size_and_one_image_at_others(order: Order) -> None:
    assert order.shapes == {"frame": ((1, 640, 640, 3), (4, 640, 640, 3), (1, 320, 320, 3))}


def test_tensorrt_has_one_profile_over_all_sizes_whose_usual_shape_is_one_image_of_its_own(order: Order) -> None:
    options = tensorrt.provider_options(order)
    assert options["trt_profile_min_shapes"] == "frame:1x320x320x3"
    assert options["trt_profile_opt_shapes"] == "frame:1x640x640x3"
    assert options["trt_profile_max_shapes"] == "frame:4x640x640x3"


@needs_rtx
def test_the_ep_context_model_names_the_sizes_and_leaves_them_open(order: Order) -> None:
    kinds = tensorrt_rtx.build(order)
    model = onnx.load_model(order.folder / next(name for name, kind in kinds.items() if kind == "ep_context"))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["batches"] == "1,4"
    assert json.loads(metadata["sizes"]) == [
        {"frame": [640, 640, 3], "anchors": [16800, 15]},
        {"frame": [320, 320, 3], "anchors": [4200, 15]},
    ]
    assert [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [0, 0, 0, 3]


def test_parity_is_measured_at_each_size_with_the_original_where_it_takes_that(workspace: Workspace) -> None:
    found = list(compare(MODEL, {"cpu": CPU}, workspace))
    assert [(one.subject, one.reference) for one in found] == [
        ("prepared", "original"),
        ("prepared", "original, 320 x 320"),
        ("fp16", "prepared"),
        ("fp16", "prepared, 320 x 320"),
        ("cpu", "prepared"),
        ("cpu", "prepared, 320 x 320"),
        ("cpu", "original"),
        ("cpu", "original, 320 x 320"),
    ]
    for one in found:
        for figures in one.figures.values():
            assert figures["column_cosine"] > (0.9999 if one.subject == "fp16" else 0.999999)


def test_an_engine_without_a_size_that_params_name_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    prepare(replace(MODEL, sides=()), workspace.build / MODEL.file, tmp_path / "prepared")
    compile_model(CPU, tmp_path / "prepared", tmp_path / "engine", workspace.timing)
    with pytest.raises(ModelError, match=r"_det_10g\.xml: expected it to run, seen .*320.*; compile it again$"):
        run_engine(tmp_path / "engine", CPU.target, {"frame": np.zeros((1, 320, 320, 3), np.uint8)})


def test_what_is_written_out_in_a_file_leaves_its_prepared_model_as_the_reference(workspace: Workspace) -> None:
    file = workspace.build / MODEL.file
    kept = file.read_bytes()
    save_model(as_insightface(loaded("det_10g")), file)  # of any size, as it says, with a constant in each Resize
    found = [(one.subject, one.reference) for one in compare(MODEL, {}, workspace)]
    file.write_bytes(kept)
    assert found == [("prepared", "original"), ("fp16", "prepared"), ("fp16", "prepared, 320 x 320")]


def test_half_precision_is_open_in_size_too(workspace: Workspace) -> None:
    path = workspace.prepared / MODEL.name / "fp16.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for side, rows in ((640, 16800), (320, 4200)):
        frame = np.zeros((1, side, side, 3), np.uint8)
        assert session.run(None, {"frame": frame})[0].shape == (1, rows, 15)
