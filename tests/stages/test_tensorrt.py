"""Builder `tensorrt` asks ONNX Runtime for exactly what the recipe says, and refuses where it can't be had.

TensorRT runs in the test of a real GPU alone; the others ask a fake ONNX Runtime.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from morphstream.artifact.errors import ModelError, NoEngineError
from morphstream.machine.probe import Machine
from stages.builders import Order, Tensor
from stages.builders.tensorrt import build, provider_options
from tests.stages import refusal

PROVIDER = "TensorrtExecutionProvider"
GPU = Machine(arch="x86_64", gpu_archs=("sm89",), libraries={}, driver="580.0")
NO_GPU = Machine(arch="x86_64", gpu_archs=(), libraries={}, no_gpu="no driver")


@dataclass
class Options:
    """ONNX Runtime's session options."""

    entries: dict[str, str] = field(default_factory=dict)

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Remember an entry."""
        self.entries[key] = value


@dataclass
class Runtime:
    """An ONNX Runtime whose TensorRT writes the names of the real one's files; it can fall back or break."""

    used: str = PROVIDER
    suffixes: tuple[str, ...] = (".engine", ".profile")
    error: Exception | None = None
    opened: list[Any] = field(default_factory=list)

    SessionOptions = Options

    def get_available_providers(self) -> list[str]:
        """Return what this build of it has."""
        return [PROVIDER, "CPUExecutionProvider"]

    def InferenceSession(self, model: str, options: Options, providers: list[Any]) -> "Runtime":  # noqa: N802
        """Open a model, which builds its engine."""
        self.opened += [model, options.entries, providers]
        if self.error:
            raise self.error
        given = providers[0][1]
        for suffix in self.suffixes:
            Path(given["trt_engine_cache_path"], f"{given['trt_engine_cache_prefix']}_0_sm89{suffix}").write_bytes(b"x")
        timing = Path(given["trt_timing_cache_path"], "TensorrtExecutionProvider_cache_sm89.timing")
        timing.write_bytes((timing.read_bytes() if timing.exists() else b"") + b"t")
        return self

    def get_providers(self) -> list[str]:
        """Return what runs the model, the first first."""
        return [self.used, "CPUExecutionProvider"]


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """Order an engine of a model with a dynamic batch and one other input."""
    (tmp_path / "engine").mkdir()
    return Order(
        model=tmp_path / "fp32.onnx",
        archs=("sm89",),
        precision="fp32",
        inputs=(
            Tensor(name="crop", dtype="uint8", shape=(-1, 8, 8, 3)),
            Tensor(name="source", dtype="float32", shape=(-1, 4)),
        ),
        outputs=(Tensor(name="swapped", dtype="uint8", shape=(-1, 8, 8, 3)),),
        shapes={"crop": ((1, 8, 8, 3), (2, 8, 8, 3), (8, 8, 8, 3)), "source": ((1, 4), (2, 4), (8, 4))},
        stem="0123456789abcdef_m",
        folder=tmp_path / "engine",
        shared=tmp_path / "timing",
    )


def test_every_option_that_decides_the_engine_is_stated(order: Order) -> None:
    options = provider_options(order)
    assert options["trt_profile_min_shapes"] == "crop:1x8x8x3,source:1x4"
    assert options["trt_profile_opt_shapes"] == "crop:2x8x8x3,source:2x4"
    assert options["trt_profile_max_shapes"] == "crop:8x8x8x3,source:8x4"
    assert options["trt_engine_cache_prefix"] == order.stem
    assert options["trt_layer_norm_fp32_fallback"] is True
    for key in ("trt_engine_cache_path", "trt_timing_cache_path"):  # relative ones are concatenated oddly
        assert Path(str(options[key])).is_absolute()


@pytest.mark.parametrize(("precision", "is_half"), [("fp32", False), ("fp16", True)])
def test_half_precision_is_allowed_by_the_model_s_precision_alone(
    order: Order, precision: str, *, is_half: bool
) -> None:
    assert provider_options(replace(order, precision=precision))["trt_fp16_enable"] is is_half


def test_the_files_that_a_fake_tensorrt_writes_are_the_result(order: Order) -> None:
    runtime = Runtime()
    kinds = build(order, machine=GPU, runtime=runtime)
    assert sorted(kinds.values()) == ["engine", "ep_context", "profile", "timing"]
    assert {path.name for path in order.folder.iterdir()} == set(kinds)
    assert runtime.opened[1] == {"session.disable_cpu_ep_fallback": "1"}


def test_the_ep_context_model_names_the_engine_and_its_batches(order: Order) -> None:
    """What its TensorRT provider reads of the node, and what the runtime reads of the metadata."""
    kinds = build(order, machine=GPU, runtime=Runtime())
    (context,) = (name for name, kind in kinds.items() if kind == "ep_context")
    assert context == f"{order.stem}_ctx.onnx"
    model = onnx.load_model(order.folder / context)
    (node,) = model.graph.node
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    assert attributes["ep_cache_context"].decode() == f"{order.stem}_0_sm89.engine"
    assert kinds[attributes["ep_cache_context"].decode()] == "engine"
    assert (attributes["embed_mode"], attributes["main_context"]) == (0, 1)
    assert (attributes["source"], attributes["hardware_architecture"]) == (PROVIDER.encode(), b"89")
    assert (list(node.input), list(node.output)) == (["crop", "source"], ["swapped"])
    assert {entry.key: entry.value for entry in model.metadata_props} == {"batches": "1,2,8"}


def test_a_model_of_a_fixed_batch_names_none(order: Order) -> None:
    tensors = tuple(replace(tensor, shape=(1, *tensor.shape[1:])) for tensor in order.inputs)
    fixed = replace(order, inputs=tensors, shapes={"crop": ((1, 8, 8, 3),), "source": ((1, 4),)})
    build(fixed, machine=GPU, runtime=Runtime())
    assert not onnx.load_model(order.folder / f"{order.stem}_ctx.onnx").metadata_props


def test_the_timing_cache_of_one_model_is_handed_to_the_next(order: Order, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for model in (order, replace(order, folder=tmp_path / "other")):
        build(model, machine=GPU, runtime=Runtime())
    (timing,) = (tmp_path / "other").glob("*.timing")
    assert timing.read_bytes() == b"tt"


@pytest.mark.parametrize(
    ("machine", "seen"),
    [(NO_GPU, "none (no driver)"), (replace(GPU, gpu_archs=("sm120",)), "sm120")],
    ids=["no GPU", "another arch"],
)
def test_a_machine_without_the_gpu_is_refused(order: Order, machine: Machine, seen: str) -> None:
    with pytest.raises(NoEngineError) as refused:
        build(order, machine=machine, runtime=Runtime())
    assert f"expected a GPU of sm89 to build on, seen {seen}; " in str(refused.value)
    assert not list(order.folder.iterdir())


def test_the_installed_onnx_runtime_without_tensorrt_is_refused(order: Order) -> None:
    with pytest.raises(NoEngineError, match="expected ONNX Runtime with TensorrtExecutionProvider, seen "):
        build(order, machine=GPU)


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        pytest.param(Runtime(used="CPUExecutionProvider"), "seen CPUExecutionProvider; check", id="silent fallback"),
        pytest.param(Runtime(error=RuntimeError("no kernel\nfor Foo")), "seen no kernel for Foo; ", id="refused node"),
        pytest.param(Runtime(suffixes=()), "expected an engine of TensorRT, seen ", id="no engine"),
        pytest.param(
            Runtime(suffixes=(".engine", "_1.engine")), "expected an engine of TensorRT, seen ", id="an engine a part"
        ),
    ],
)
def test_a_fake_tensorrt_that_does_not_run_a_model_whole_is_refused(
    order: Order, runtime: Runtime, message: str
) -> None:
    with pytest.raises(ModelError) as refused:
        build(order, machine=GPU, runtime=runtime)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_stage_refuses_in_one_line_where_the_libraries_are_missing(workspace: Path) -> None:
    message = refusal(workspace, "compile", "trt-sm89", "xseg_1")
    assert "targets.trt-sm89.toolchain: declared tensorrt 10.14.1, this machine has none" in message
    assert not Path("build").exists()


@pytest.mark.gpu
def test_a_real_gpu_builds_engine_profile_and_timing_cache(built: object, tmp_path: Path) -> None:
    from stages.compile import compile_model
    from stages.files import PREPARED
    from tests.stages import PARAMS

    compile_model(PARAMS.target("trt-sm89"), PREPARED / "xseg_1", tmp_path / "engine")
    assert {path.suffix for path in (tmp_path / "engine").iterdir()} >= {".engine", ".onnx", ".profile", ".timing"}
