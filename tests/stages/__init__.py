"""Tests of the build pipeline: one file a stage or an edit, on the kit's small models."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from morphstream.machine.probe import probe_bfloat16
from stages.kit import kit_model
from stages.lists import pipeline_files
from stages.params import Params, load_params
from stages.workspace import Workspace

ROOT = Path(__file__).parents[2]
DOWNLOADS = Workspace(ROOT).downloads  # where `make setup` puts the detector's package
PARAMS = load_params(ROOT / "params.yaml")

needs_bfloat16 = pytest.mark.skipif(not probe_bfloat16(), reason="needs a CPU with avx512_bf16 or amx_bf16")

Array = npt.NDArray[np.generic]
Dims = Sequence[int | str]

needs_rtx = pytest.mark.skipif(
    find_spec("tensorrt_rtx_bindings") is None, reason="needs tensorrt_rtx_bindings (Linux on x86-64)"
)


def run_stage(workspace: Workspace, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m stages.VERB ...`` of the project in a workspace, in a process of its own."""
    verb, *rest = arguments
    command = [sys.executable, "-m", f"stages.{verb}", *rest]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=workspace.root, env=settings, capture_output=True, text=True, check=False)


def refusal(workspace: Workspace, *arguments: str) -> str:
    """Run a stage that must refuse: exit 1, nothing on stdout; return its one line on stderr."""
    done = run_stage(workspace, *arguments)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (1, "", 1), done.stderr
    assert lines[0].startswith(" ".join(arguments) + ": ")
    return lines[0]


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder, hidden ones too, by its path there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@cache
def original(name: str) -> bytes:
    """Return a model of the kit as its ONNX file."""
    return kit_model(name, DOWNLOADS)


def loaded(name: str) -> onnx.ModelProto:
    """Return a model of the kit, to be altered at will."""
    return onnx.load_model_from_string(original(name))


@cache
def _document() -> bytes:
    return pickle.dumps(yaml.load((ROOT / "params.yaml").read_bytes(), yaml.CSafeLoader))


def document() -> dict[str, Any]:
    """Return the project's params.yaml, to be altered at will."""
    data: dict[str, Any] = pickle.loads(_document())  # noqa: S301 - our own; a copy in a tenth of the time of reading
    return data


def reduced(models: Iterable[str], targets: Iterable[str]) -> dict[str, Any]:
    """Return the project's params.yaml with some models and built targets alone."""
    data = document()
    data["models"] = {name: data["models"][name] for name in models}
    data["build_targets"] = {name: data["build_targets"][name] for name in targets}
    return data


def copy_pipeline(workspace: Workspace) -> None:
    """Copy the project's dvc.yaml files into a workspace."""
    for path in pipeline_files(Workspace(ROOT)):
        (workspace.root / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, workspace.root / path.relative_to(ROOT))


def with_bfloat16(data: dict[str, Any]) -> dict[str, Any]:
    """Return params.yaml with the CPU's target in bfloat16 built too, as the line says that is commented out there."""
    build = {"cache_key": "x86_64/ov2026.4_bf16", "archive": "cpu-bf16-cache-x86_64"}
    return {**data, "build_targets": {**data["build_targets"], "cpu-bf16": build}}


def write_params(folder: Path, data: Mapping[str, Any]) -> Params:
    """Write a workspace's params.yaml and return it as the stages read it."""
    path = folder / "params.yaml"
    path.write_text(yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False), "utf-8")
    return load_params(path)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Dims],
    outputs: Mapping[str, Dims],
    weights: Mapping[str, Array] | None = None,
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Return a checked model of a few nodes; a string in a shape is a dynamic axis."""

    def values(shapes: Mapping[str, Dims]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()]

    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "small", values(inputs), values(outputs), tensors)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model, full_check=True)
    return model


def run_model(model: onnx.ModelProto, **inputs: Array) -> dict[str, npt.NDArray[np.number]]:
    """Run a checked model in ONNX Runtime and return its outputs by name."""
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def types_of(values: Iterable[onnx.ValueInfoProto]) -> dict[str, str]:
    """Return the element type of inputs or outputs, by name and in order."""
    return {value.name: TensorProto.DataType.Name(value.type.tensor_type.elem_type) for value in values}


def shapes_of(values: Iterable[onnx.ValueInfoProto]) -> dict[str, list[int | str]]:
    """Return the shape of inputs or outputs, by name and in order; a string is a dynamic axis."""
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values
    }


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object."""
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return data


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object."""
    path.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
