"""Say what differs first: a library, a tensor or node of a prepared model, a constant or layer of an engine, or a CPU.

What is looked at is in the order in which things are built, so that the first difference is the cause of all others.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.manifest import EngineFile, EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import cache_path
from morphstream.program import ProgramError, run_program
from stages.clean import fetch_lacking
from stages.params import Params
from stages.prepare import prepare
from stages.rebuild.found import Compared
from stages.rebuild.published import Published
from stages.workspace import Workspace

_CACHE = re.compile(r"trt_cache/([^/]+/[^/]+)/(.+)")
_CONSTANT = re.compile(r'<layer id="\d+" name="([^"]*)" type="Const"[^>]*>\s*<data [^>]*offset="(\d+)" size="(\d+)"')
LIMITED = {  # features that libraries which compute constants ask a CPU for, in NumPy's words since 2.4
    "AVX-512": {
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "AVX2": {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}
_TIMEOUT_S = 900.0


def explain(workspace: Workspace, params: Params, published: Published, folder: Path, first: Compared) -> str:
    """Return in words what differs first.

    Args:
        workspace: With the prepared models that were published from, if they are still there.
        params: Choices that were built by.
        published: What is compared with.
        folder: Where it was built again.
        first: The first thing that differs.
    """
    if not (found := _CACHE.fullmatch(first.name)):
        reason = f": {first.why}" if first.why else ""
        return f"{first.name}: expected sha256 {first.expected or 'none'}, seen {first.seen or 'none'}{reason}"
    key, name = found[1], found[2]
    cache = published.cache(CacheKey.parse(key))
    build = next(one for one in params.builds.values() if one.cache_key == key)
    if cache is None or (file := cache.engine_files.get(name)) is None:
        return f"{first.name}: expected it as published, seen it in one of both alone"
    if published.folder and not first.expected:
        return f"{first.name}: expected the file that its manifest names, seen none"
    if difference := _toolchain(cache, dict(build.target.target.toolchain)):
        return f"{name}: {difference}"
    model, again, there = params.model(file.onnx_model or ""), folder / "again", Workspace(folder / "origin")
    fetch_lacking(params, [model.name], workspace, there)
    fetched = there.build / model.file
    prepare(model, fetched if fetched.is_file() else workspace.build / model.file, again)
    if difference := prepared_difference(workspace.prepared / model.name, again):
        return f"{name}: prepared model: {difference}"
    if first.why:
        return f"{name}: {first.why}: other options, shapes or builder source"
    built = folder / build.target.name / cache_path(key)
    if published.folder and (built / name).is_file():
        return f"{name}: {file_difference(published.folder / cache_path(key) / name, built / name)}"
    return f"{name}: {_of_cpu(workspace, params, folder / 'limited', build.target.name, file)}"


def _toolchain(cache: EngineManifest, declared: dict[str, str]) -> str:
    for library, version in sorted((cache.toolchain or {}).items()):
        if (seen := declared.get(library)) != version:
            return f"library {library}: expected {version}, as published, seen {seen or 'none'} in params.yaml"
    return ""


def prepared_difference(published: Path, again: Path) -> str:
    """Return how a prepared model differs from one that was prepared again; empty where it doesn't, or isn't there."""
    for name in ("fp32.onnx", "fp16.onnx"):
        before, now = published / name, again / name
        if before.is_file() and now.is_file() and digest_of_file(before) != digest_of_file(now):
            return f"{name}: {model_difference(onnx.load(before), onnx.load(now))}"
    return ""


def model_difference(before: onnx.ModelProto, now: onnx.ModelProto) -> str:
    """Return the first tensor or node in which two models differ, in words."""
    tensors = ({one.name: one for one in model.graph.initializer} for model in (before, now))
    for difference in (_tensor_difference(*tensors), _node_difference(before, now)):
        if difference:
            return difference
    return "its names, metadata, inputs or outputs"


def _tensor_difference(before: dict[str, onnx.TensorProto], now: dict[str, onnx.TensorProto]) -> str:
    for name in (*before, *now):
        if name not in before or name not in now:
            return f"tensor {name}: expected it in both, seen it in one"
        old, new = numpy_helper.to_array(before[name]), numpy_helper.to_array(now[name])
        if old.shape != new.shape or old.dtype != new.dtype:
            return f"tensor {name}: expected {old.dtype} of {old.shape}, seen {new.dtype} of {new.shape}"
        differs = np.flatnonzero(old.reshape(-1).view(np.uint8) != new.reshape(-1).view(np.uint8))
        if len(differs):
            place = int(differs[0]) // old.dtype.itemsize
            index = tuple(int(one) for one in np.unravel_index(place, old.shape))
            return f"tensor {name} at {index}: expected {old.reshape(-1)[place]!r}, seen {new.reshape(-1)[place]!r}"
    return ""


def _node_difference(before: onnx.ModelProto, now: onnx.ModelProto) -> str:
    for number, (old, new) in enumerate(zip(before.graph.node, now.graph.node, strict=False)):
        if old != new:
            named = f"node {number}, {old.op_type} {old.name}".rstrip()
            attributes = {one.name: one for one in old.attribute}, {one.name: one for one in new.attribute}
            for name in sorted(attributes[0].keys() | attributes[1].keys()):
                if attributes[0].get(name) != attributes[1].get(name):
                    return f"{named}: attribute {name}"
            return f"{named}: expected it as before, seen {new.op_type} with {', '.join(new.input)}"
    if len(before.graph.node) != len(now.graph.node):
        return f"expected {len(before.graph.node)} nodes, seen {len(now.graph.node)}"
    return ""


def file_difference(published: Path, built: Path) -> str:
    """Return where two files of an engine differ first: a line of a graph, a constant, or a byte."""
    before, now = published.read_bytes(), built.read_bytes()
    if published.suffix == ".xml":
        lines = before.splitlines(), now.splitlines()
        number = next((one for one, pair in enumerate(zip(*lines, strict=False)) if pair[0] != pair[1]), len(lines[0]))
        layer = re.findall(rb'<layer id="\d+" name="([^"]*)"', b"\n".join(lines[0][: number + 1]))
        return f"line {number + 1} of its graph, in layer {layer[-1].decode() if layer else 'none'}"
    offset = next((one for one, pair in enumerate(zip(before, now, strict=False)) if pair[0] != pair[1]), -1)
    if offset < 0:
        return f"expected {len(before)} bytes, seen {len(now)}"
    named = next((name for name, begin, size in _constants(published) if begin <= offset < begin + size), "")
    where = f"byte {offset}, of the constant {named}" if named else f"byte {offset}"
    return f"{where}: expected {before[offset]}, seen {now[offset]}"


def _constants(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield the name, the first byte and the size of each constant of OpenVINO's weights."""
    graph = path.with_suffix(".xml")
    if path.suffix == ".bin" and graph.is_file():
        for name, offset, size in _CONSTANT.findall(graph.read_text("utf-8")):
            yield name, int(offset), int(size)


def _of_cpu(workspace: Workspace, params: Params, folder: Path, target: str, file: EngineFile) -> str:
    """Build the model's engine again with fewer features of the CPU, and say with which it is as published."""
    model = file.onnx_model or ""
    for feature, environment in LIMITED.items():
        into = folder / feature
        command = [sys.executable, "-B", "-m", "stages.build", target, "--into", str(into.absolute()), "--model", model]
        fetch_lacking(params, [model], workspace, Workspace(into))
        try:
            run_program(command, folder=workspace.root, environment=environment, timeout_s=_TIMEOUT_S)
        except ProgramError as error:
            return f"other bytes from equal inputs; with {feature} switched off it can't be built: {error}"
        built = (path for path in into.rglob("*") if path.is_file())
        if file.digest and any(digest_of_file(path) == file.digest for path in built):
            return f"CPU feature: it is as published on a CPU without {feature}"
    here = f"{os.cpu_count()} cores; {shlex.join(sorted(LIMITED))} were switched off in turn"
    return f"other bytes from equal inputs, on this machine of {here}"
