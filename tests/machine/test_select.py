"""A machine gets the best engines that it can run, or is refused with the fact that differs."""

from dataclasses import replace

import pytest

from morphstream.artifact.errors import NoEngineError
from morphstream.artifact.target import CacheKey
from morphstream.machine.probe import Machine
from morphstream.machine.select import candidates, check_target, check_usable, select
from tests.layouts import MACHINE

LIBRARIES = {
    "openvino": "2026.4.1",
    "onnxruntime": "1.31.1",
    "tensorrt_rtx": "1.7.1.116",
    "tensorrt": "10.14.1",
}
WORKSTATION = Machine(arch="x86_64", gpu_archs=("sm120", "sm89"), libraries=LIBRARIES, driver="575.57")
BFLOAT16 = replace(MACHINE, has_bfloat16=True)
PUBLISHED = (
    "x86_64/ov2026.4 x86_64/ov2026.4_bf16 sm86/rtx1.7_ort1.31 sm89/rtx1.7_ort1.31 sm89/trt10.9_ort1.22 "
    "sm89/trt10.14_ort1.24"
)


def keys_of(names: str) -> list[CacheKey]:
    return [CacheKey.parse(name) for name in names.split()]


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        pytest.param(MACHINE, "x86_64/ov2026.4", id="a CPU"),
        pytest.param(BFLOAT16, "x86_64/ov2026.4", id="a CPU with bfloat16"),
        pytest.param(replace(MACHINE, arch="aarch64"), "aarch64/ov2026.4", id="an Arm CPU"),
        pytest.param(replace(MACHINE, arch="riscv64"), "", id="a CPU that nothing is built for"),
        pytest.param(replace(MACHINE, libraries={"onnxruntime": "1.31.1"}), "", id="no builder's libraries"),
        pytest.param(replace(MACHINE, gpu_archs=("sm89",)), "x86_64/ov2026.4", id="a GPU without libraries"),
        pytest.param(
            WORKSTATION,
            "sm120/rtx1.7_ort1.31 sm120/trt10.14_ort1.31 sm89/rtx1.7_ort1.31 sm89/trt10.14_ort1.31 "
            "portable/rtx1.7_ort1.31 x86_64/ov2026.4",
            id="two GPUs",
        ),
    ],
)
def test_candidates_are_what_the_machine_can_run(machine: Machine, expected: str) -> None:
    assert candidates(machine) == tuple(keys_of(expected))
    for key in candidates(machine):
        check_usable(key, machine)


@pytest.mark.parametrize(
    ("machine", "target", "expected"),
    [
        pytest.param(MACHINE, "auto", "x86_64/ov2026.4", id="auto on a CPU"),
        pytest.param(WORKSTATION, "auto", "sm89/rtx1.7_ort1.31", id="auto on the GPU there is an archive for"),
        pytest.param(BFLOAT16, "auto", "x86_64/ov2026.4", id="auto on a CPU with bfloat16"),
        pytest.param(BFLOAT16, "cpu", "x86_64/ov2026.4", id="single precision on a CPU with bfloat16"),
        pytest.param(BFLOAT16, "cpu-bf16", "x86_64/ov2026.4_bf16", id="bfloat16 by name"),
        pytest.param(MACHINE, "cpu-bf16", "x86_64/ov2026.4_bf16", id="bfloat16 that the machine hasn't"),
        pytest.param(BFLOAT16, "x86_64/ov2026.4_bf16", "x86_64/ov2026.4_bf16", id="bfloat16 by its cache key"),
        pytest.param(WORKSTATION, "cpu", "x86_64/ov2026.4", id="the CPU of a machine with GPUs"),
        pytest.param(MACHINE, "rtx-sm86", "sm86/rtx1.7_ort1.31", id="a GPU that the machine hasn't"),
        pytest.param(MACHINE, "trt-sm89", "sm89/trt10.14_ort1.24", id="the newest of several"),
        pytest.param(
            replace(WORKSTATION, libraries={"tensorrt": "10.9.0", "onnxruntime": "1.22.0"}),
            "trt-sm89",
            "sm89/trt10.9_ort1.22",
            id="the usable of several",
        ),
        pytest.param(MACHINE, "sm89/trt10.9_ort1.22", "sm89/trt10.9_ort1.22", id="a cache key"),
    ],
)
def test_a_target_selects_one_published_key(machine: Machine, target: str, expected: str) -> None:
    assert str(select(machine, keys_of(PUBLISHED), target)) == expected


def test_a_portable_engine_is_the_nearest_where_a_gpus_own_is_not_published() -> None:
    keys = keys_of("portable/rtx1.7_ort1.31 sm86/rtx1.7_ort1.31 x86_64/ov2026.4")
    assert str(select(WORKSTATION, keys, "auto")) == "portable/rtx1.7_ort1.31"
    assert str(select(MACHINE, keys, "auto")) == "x86_64/ov2026.4"
    assert str(select(MACHINE, keys, "rtx-portable")) == "portable/rtx1.7_ort1.31"
    with pytest.raises(NoEngineError, match="expected arch portable, seen x86_64"):
        check_usable(keys[0], MACHINE)


@pytest.mark.parametrize(
    ("machine", "published", "target", "expected"),
    [
        pytest.param(
            MACHINE,
            "sm89/rtx1.7_ort1.31 x86_64/ov2026.3",
            "auto",
            "expected an archive for x86_64/ov2026.4, seen x86_64/ov2026.3 (OpenVINO 2026.3); "
            "install openvino 2026.3 or rebuild",
            id="another OpenVINO",
        ),
        pytest.param(
            MACHINE,
            "sm89/rtx1.7_ort1.31",
            "auto",
            "expected an archive for x86_64/ov2026.4, seen sm89/rtx1.7_ort1.31 (arch sm89); "
            "use a machine with sm89 or rebuild",
            id="another arch",
        ),
        pytest.param(
            replace(WORKSTATION, libraries={"tensorrt": "10.9.0", "onnxruntime": "1.22.0"}),
            "sm89/trt10.14_ort1.24",
            "auto",
            "expected an archive for sm120/trt10.9_ort1.22, seen sm89/trt10.14_ort1.24 "
            "(TensorRT 10.14 and ONNX Runtime 1.24); "
            "install tensorrt 10.14 and install onnxruntime 1.24 or rebuild",
            id="another TensorRT and ONNX Runtime",
        ),
        pytest.param(
            replace(MACHINE, libraries={}),
            "x86_64/ov2026.4",
            "auto",
            "expected an archive for x86_64, seen x86_64/ov2026.4 (OpenVINO 2026.4); "
            "install openvino 2026.4 or rebuild",
            id="no library at all",
        ),
        pytest.param(
            BFLOAT16,
            "x86_64/ov2026.4_bf16",
            "auto",
            "expected an archive for x86_64/ov2026.4, seen x86_64/ov2026.4_bf16, which has to be named; "
            "run `dvc repro`",
            id="bfloat16 alone, which is never chosen",
        ),
        pytest.param(
            BFLOAT16,
            "x86_64/ov2026.3 x86_64/ov2026.4_bf16",
            "auto",
            "expected an archive for x86_64/ov2026.4, seen x86_64/ov2026.3 (OpenVINO 2026.3); "
            "install openvino 2026.3 or rebuild",
            id="another OpenVINO beside bfloat16",
        ),
        pytest.param(
            BFLOAT16,
            "x86_64/ov2026.4",
            "cpu-bf16",
            "expected an archive for cpu-bf16, seen x86_64/ov2026.4; build it or name another",
            id="bfloat16 that isn't published",
        ),
        pytest.param(
            MACHINE,
            "",
            "auto",
            "expected an archive for x86_64/ov2026.4, seen none with engines; run `dvc repro`",
            id="nothing published",
        ),
        pytest.param(
            MACHINE,
            "sm89/rtx1.7_ort1.31 x86_64/ov2026.4",
            "rtx-sm120",
            "expected an archive for rtx-sm120, seen sm89/rtx1.7_ort1.31, x86_64/ov2026.4; build it or name another",
            id="a target that isn't published",
        ),
    ],
)
def test_a_refusal_names_the_closest_key_and_what_differs(
    machine: Machine, published: str, target: str, expected: str
) -> None:
    with pytest.raises(NoEngineError) as caught:
        select(machine, keys_of(published), target)
    assert str(caught.value) == expected


@pytest.mark.parametrize("target", ["", "gpu", "rtx", "x86_64", "x86_64/ov2026", "cpu-fp16"])
def test_what_is_no_target_is_the_callers_mistake(target: str) -> None:
    with pytest.raises(ValueError, match="expected auto, cpu, cpu-bf16, rtx-smNN, trt-smNN or a cache key, seen"):
        select(MACHINE, [], target)
    with pytest.raises(ValueError, match="expected auto, cpu, cpu-bf16, rtx-smNN, trt-smNN or a cache key, seen"):
        check_target(target)


@pytest.mark.parametrize("target", ["auto", "cpu", "cpu-bf16", "rtx-sm89", "trt-sm86", "sm89/trt10.14_ort1.24"])
def test_a_targets_name_is_checked_without_a_machine(target: str) -> None:
    check_target(target)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        pytest.param("sm89/rtx1.7_ort1.31", "expected arch sm89, seen x86_64; use a machine", id="arch"),
        pytest.param("aarch64/ov2026.4", "expected arch aarch64, seen x86_64; use a machine", id="CPU"),
        pytest.param("x86_64/ov2026.3", "expected OpenVINO 2026.3, seen 2026.4.1; install", id="version"),
        pytest.param("x86_64/ov2026.4_bf16", "expected a CPU with bfloat16, seen one without; use", id="bfloat16"),
        pytest.param(
            "x86_64/ov2026.3_bf16",
            "expected OpenVINO 2026.3 and a CPU with bfloat16, seen 2026.4.1 and one without; install",
            id="bfloat16 and a version",
        ),
        pytest.param("x86_64/ov2026.40", "expected OpenVINO 2026.40, seen 2026.4.1; install", id="longer version"),
    ],
)
def test_engines_of_another_machine_are_not_usable(key: str, expected: str) -> None:
    with pytest.raises(NoEngineError, match=f"^{key}: {expected}.*, or boot for this machine$"):
        check_usable(CacheKey.parse(key), MACHINE)


def test_engines_in_bfloat16_are_usable_on_a_cpu_that_has_it_alone() -> None:
    key = CacheKey.parse("x86_64/ov2026.4_bf16")
    check_usable(key, BFLOAT16)
    with pytest.raises(NoEngineError, match="expected a CPU with bfloat16, seen one without"):
        check_usable(key, replace(BFLOAT16, has_bfloat16=False))


def test_versions_of_any_length_are_ordered_as_numbers() -> None:
    long = f"x86_64/ov{'9' * 5000}.4"
    assert str(select(MACHINE, keys_of(f"x86_64/ov2026.10 {long} x86_64/ov2026.9"), "cpu")) == long
    assert str(select(MACHINE, keys_of("x86_64/ov2026.10 x86_64/ov2026.9"), "cpu")) == "x86_64/ov2026.10"


def test_of_several_in_bfloat16_the_usable_is_selected() -> None:
    keys = keys_of("x86_64/ov2026.4_bf16 x86_64/ov2026.5_bf16 x86_64/ov2026.6")
    assert str(select(BFLOAT16, keys, "cpu-bf16")) == "x86_64/ov2026.4_bf16"
    assert str(select(MACHINE, keys, "cpu-bf16")) == "x86_64/ov2026.5_bf16"
