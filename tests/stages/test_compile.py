"""An engine's bytes and its name follow from its recipe alone, and what can't be built leaves what was there."""

import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import numpy_helper

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import ModelError, ToolchainMismatchError
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.target import Target
from stages.builders import Half, Options, Order
from stages.builders.order import shapes_of
from stages.compile import compile_model
from stages.params import TargetOptions
from stages.prepare import prepare
from stages.source import builder_source
from stages.workspace import Workspace
from tests.stages import (
    PARAMS,
    ROOT,
    document,
    files_in,
    needs_rtx,
    original,
    read_json,
    refusal,
    run_stage,
    write_json,
    write_params,
)

CPU = PARAMS.target("cpu")
MODEL = "w600k_r50"
PART = b"an engine"


@dataclass
class Echo:
    """A builder whose engine is its prepared model; it can claim any version and break on its way."""

    HALF: Half = "never"
    OPTIONS: Options = field(default_factory=lambda: {"level": 1})
    version: str = "2026.4.1"
    error: BaseException | None = None

    def versions(self) -> dict[str, str | None]:
        """Return the version it claims."""
        return {"openvino": self.version}

    def build(self, order: Order) -> dict[str, str]:
        """Write half of an engine, then the rest or an error."""
        (order.folder / f"{order.stem}.xml").write_bytes(PART)
        if self.error is not None:
            raise self.error
        return {f"{order.stem}.xml": "ir"}


@pytest.fixture
def prepared(workspace: Workspace) -> Path:
    """Prepare the model in a workspace."""
    model = PARAMS.model(MODEL)
    source = workspace.build / model.file
    source.parent.mkdir(parents=True)
    source.write_bytes(original(MODEL))
    prepare(model, source, workspace.prepared / MODEL)
    data = document()
    data["models"] = {MODEL: data["models"][MODEL]}
    write_params(workspace.root, data)
    return workspace.prepared / MODEL


def compile_with(workspace: Workspace, builder: Echo, options: TargetOptions, prepared: Path, folder: Path) -> None:
    """Compile with a builder of the tests."""
    compile_model(options, prepared, folder, workspace.timing, {"openvino": builder})


def recipe(workspace: Workspace, prepared: Path, builder: Echo, options: TargetOptions = CPU) -> str:
    """Compile with a builder of the tests and return the recipe in the manifest, which names the file too."""
    compile_with(workspace, builder, options, prepared, workspace.engines / "echo")
    manifest = EngineManifest.from_json((workspace.engines / "echo/manifest.json").read_bytes())
    ((name, entry),) = manifest.engine_files.items()
    assert entry.recipe
    assert name == f"{entry.recipe[:16]}_{MODEL}.xml"
    return entry.recipe


def scale_a_weight(prepared: Path) -> None:
    model = onnx.load_model(prepared / "fp32.onnx")
    weight = max(model.graph.initializer, key=lambda tensor: int(np.prod(tensor.dims)))
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.5), weight.name))
    (prepared / "fp32.onnx").write_bytes(model.SerializeToString(deterministic=True))


def resize_an_input(prepared: Path) -> None:
    contract = read_json(prepared / "contract.json")
    contract["inputs"]["crop"]["shape"] = [-1, 128, 128, 3]
    write_json(prepared / "contract.json", contract)


def another_batch(prepared: Path) -> None:
    contract = read_json(prepared / "contract.json")
    write_json(prepared / "contract.json", {**contract, "batches": [1, 3]})


def with_toolchain(version: str) -> TargetOptions:
    return replace(CPU, target=Target(arch="x86_64", builder="openvino", toolchain={"openvino": version}))


@pytest.mark.parametrize("target", ["cpu", pytest.param("rtx-sm89", marks=needs_rtx)])
def test_two_processes_write_the_same_bytes_under_the_same_names(
    workspace: Workspace, prepared: Path, target: str
) -> None:
    folders = []
    for _ in range(2):
        done = run_stage(workspace, "compile", target, MODEL)
        assert done.returncode == 0, done.stderr
        folders.append(files_in(workspace.engines / MODEL / target))
    assert folders[0] == folders[1]
    assert len(folders[0]) == 3  # with the manifest


def test_in_bfloat16_an_engine_is_the_same_bytes_and_names_its_precision(workspace: Workspace, prepared: Path) -> None:
    files, entries = {}, {}
    for target in ("cpu", "cpu-bf16"):
        assert run_stage(workspace, "compile", target, MODEL).returncode == 0
        folder = workspace.engines / MODEL / target
        manifest = EngineManifest.from_json((folder / "manifest.json").read_bytes())
        files[target] = {Path(name).suffix: (folder / name).read_bytes() for name in manifest.engine_files}
        entries[target] = list(manifest.engine_files.values())
        assert str(manifest.cache_key) == {"cpu": "x86_64/ov2026.4", "cpu-bf16": "x86_64/ov2026.4_bf16"}[target]
    assert files["cpu"] == files["cpu-bf16"]
    assert [entry.precision for entry in entries["cpu-bf16"]] == ["bf16", "bf16"]
    assert not {entry.recipe for entry in entries["cpu"]} & {entry.recipe for entry in entries["cpu-bf16"]}


@needs_rtx
def test_another_arch_is_another_engine(workspace: Workspace, prepared: Path) -> None:
    folders = [workspace.engines / name for name in ("rtx-sm86", "rtx-sm89")]
    for folder in folders:
        compile_model(PARAMS.target(folder.name), prepared, folder, workspace.timing)
    first, second = ({path.name: path.read_bytes() for path in folder.glob("*.engine")} for folder in folders)
    assert not first.keys() & second.keys()
    assert not set(first.values()) & set(second.values())


def test_the_manifest_names_every_file_by_its_digest(workspace: Workspace, prepared: Path) -> None:
    compile_model(CPU, prepared, workspace.engines / "cpu", workspace.timing)
    manifest = EngineManifest.from_json((workspace.engines / "cpu/manifest.json").read_bytes())
    assert {path.name for path in (workspace.engines / "cpu").iterdir()} == {"manifest.json", *manifest.engine_files}
    assert {entry.kind for entry in manifest.engine_files.values()} == {"ir", "ir_weights"}
    for name, entry in manifest.engine_files.items():
        assert entry.digest == digest_of_file(workspace.engines / "cpu" / name)
        assert (entry.onnx_model, entry.group, entry.precision) == (MODEL, "core", "fp32")


def test_emap_goes_with_the_engines(workspace: Workspace, built: object) -> None:
    folder = workspace.engines / "inswapper_128_fp16/cpu"
    (emap,) = folder.glob("*.npy")
    assert emap.read_bytes() == (workspace.prepared / "inswapper_128_fp16/emap.npy").read_bytes()
    files = EngineManifest.from_json((folder / "manifest.json").read_bytes()).engine_files
    assert (files[emap.name].kind, [entry.emap for entry in files.values()]) == ("emap", [True] * 3)


def test_nothing_changed_is_the_same_recipe(workspace: Workspace, prepared: Path) -> None:
    assert recipe(workspace, prepared, Echo()) == recipe(workspace, prepared, Echo())


@pytest.mark.parametrize(
    ("alteration", "builder", "options"),
    [
        # Two fine-tunes of one graph took each other's engines: microsoft/onnxruntime#6455.
        pytest.param(scale_a_weight, Echo(), CPU, id="weights of another fine-tune"),
        # One name, another static shape, and the old engine: microsoft/onnxruntime#32254.
        pytest.param(resize_an_input, Echo(), CPU, id="another static shape"),
        pytest.param(another_batch, Echo(), CPU, id="another batch"),
        # An engine of another TensorRT was used and didn't load: microsoft/onnxruntime#15250 and its like.
        pytest.param(None, Echo(version="2026.4.2"), with_toolchain("2026.4.2"), id="another patch version"),
        pytest.param(None, Echo(), PARAMS.target("cpu-bf16"), id="bfloat16"),
        pytest.param(None, Echo(), replace(CPU, archs=("sm86", "sm89")), id="other archs in one engine"),
        pytest.param(None, Echo(OPTIONS={"level": 2}), CPU, id="another value of an option"),
        pytest.param(None, Echo(OPTIONS={"level": 1, "fast": True}), CPU, id="another option"),
    ],
)
def test_whatever_decides_an_engine_changes_its_recipe_and_name(
    workspace: Workspace,
    prepared: Path,
    alteration: Callable[[Path], None] | None,
    builder: Echo,
    options: TargetOptions,
) -> None:
    before = recipe(workspace, prepared, Echo())
    if alteration:
        alteration(prepared)
    assert recipe(workspace, prepared, builder, options) != before


def test_two_fine_tunes_that_differ_in_external_weights_alone_are_two_recipes(
    workspace: Workspace, prepared: Path
) -> None:
    graph = (prepared / "fp32.onnx").read_bytes()
    model = onnx.load_model_from_string(graph)
    onnx.save_model(model, prepared / "fp32.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    assert len((prepared / "fp32.onnx").read_bytes()) < len(graph)
    before = recipe(workspace, prepared, Echo())
    weights = bytearray((prepared / "weights").read_bytes())
    weights[100] ^= 1
    (prepared / "weights").write_bytes(weights)
    assert recipe(workspace, prepared, Echo()) != before


def test_recipes_follow_the_source_of_builders_and_no_other(tmp_path: Path) -> None:
    for name in ("__init__", "order", "openvino", "tensorrt_rtx", "ep_context"):
        path = tmp_path / f"builders/{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((ROOT / f"stages/builders/{name}.py").read_bytes())
    targets = [PARAMS.target(name).target for name in ("cpu", "rtx-sm89")]
    before = [builder_source(target, tmp_path) for target in targets]
    assert before == [builder_source(target) for target in targets]
    with (tmp_path / "builders/ep_context.py").open("a") as file:
        file.write("# changed\n")
    cpu, rtx = (builder_source(target, tmp_path) for target in targets)
    assert (cpu == before[0], rtx == before[1]) == (True, False)


@pytest.mark.parametrize("target", ["cpu", "rtx-sm89"])
def test_another_toolchain_than_declared_is_refused_and_writes_nothing(
    workspace: Workspace, prepared: Path, target: str
) -> None:
    data = yaml.safe_load(workspace.params.read_text("utf-8"))
    library = {"cpu": "openvino", "rtx-sm89": "tensorrt_rtx"}[target]
    version = data["targets"][target]["toolchain"][library]
    data["targets"][target]["toolchain"][library] = f"{version}9"
    write_params(workspace.root, data)
    message = refusal(workspace, "compile", target, MODEL)
    assert f"targets.{target}.toolchain: declared {library} {version}9, this machine has " in message
    assert not workspace.engines.exists()


def test_a_library_that_is_not_installed_is_refused(workspace: Workspace, prepared: Path) -> None:
    options = replace(CPU, target=replace(CPU.target, toolchain={**CPU.target.toolchain, "onednn": "3.1"}))
    with pytest.raises(ToolchainMismatchError, match=r"declared onednn 3\.1, this machine has none; install 3\.1"):
        compile_with(workspace, Echo(), options, prepared, workspace.engines / "echo")
    assert not workspace.engines.exists()


@pytest.mark.parametrize("error", [ModelError("no"), KeyboardInterrupt(), OSError("disk full")], ids=repr)
def test_a_build_that_breaks_leaves_the_engine_that_was_there_and_no_half_of_its_own(
    workspace: Workspace, prepared: Path, error: BaseException
) -> None:
    recipe(workspace, prepared, Echo())
    before = files_in(workspace.engines)
    scale_a_weight(prepared)
    for folder in (workspace.engines / "echo", workspace.engines / "new"):
        with pytest.raises(type(error)):
            compile_with(workspace, Echo(error=error), CPU, prepared, folder)
    assert files_in(workspace.engines) == before


def test_files_of_a_killed_build_are_not_in_the_next(prepared: Path, workspace: Workspace) -> None:
    part = workspace.engines / ".echo.0123abcd.part/new"
    part.mkdir(parents=True)
    (part / "half.xml").write_bytes(PART)
    recipe(workspace, prepared, Echo())
    assert {path.name for path in workspace.engines.iterdir()} == {"echo"}
    assert "half.xml" not in files_in(workspace.engines / "echo")


@pytest.mark.parametrize("target", ["cpu", pytest.param("rtx-sm89", marks=needs_rtx)])
def test_a_model_that_the_builder_cannot_take_is_refused(workspace: Workspace, prepared: Path, target: str) -> None:
    for name in ("fp32", "fp16"):
        (prepared / f"{name}.onnx").write_bytes(original(MODEL)[:5000])
    done = run_stage(workspace, "compile", target, MODEL)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"compile {target} {MODEL}: build/prepared/{MODEL}/fp")
    assert "Traceback" not in done.stderr
    assert not workspace.engines.joinpath(target, MODEL).exists()


def test_an_input_has_a_shape_for_each_batch() -> None:
    inputs = {"crop": {"shape": [-1, 112, 112, 3]}, "source": {"shape": [1, 512]}}
    assert shapes_of(inputs, (1, 4)) == {
        "crop": ((1, 112, 112, 3), (4, 112, 112, 3)),
        "source": ((1, 512), (1, 512)),
    }


@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86-64 machine")
def test_the_cpu_s_target_is_this_machine_s() -> None:
    assert CPU.target.arch == platform.machine()
