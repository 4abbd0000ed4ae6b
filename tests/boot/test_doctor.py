"""The doctor shows what is there and what is missing, and accepts only a store that swaps faces here."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from morphstream.boot.boot import boot
from morphstream.boot.doctor import diagnose
from morphstream.machine.probe import Machine
from morphstream.store.store import Store
from tests.layouts import CPU, MACHINE, archive_of, publish, say_roles
from tests.machine.test_findings import SERVER, WORKSTATION
from tests.machine.test_gpus import L4

TRT = "sm89/trt10.14_ort1.24"
RTX = "sm89/rtx1.7_ort1.31"


def booted(store: Store, layout: Path, machine: Machine, *, target: str = "auto") -> None:
    boot(store, source=layout, machine=machine, target=target)


def last_of(store: Store, machine: Machine) -> str:
    """Return the last line about a store that can't be used."""
    diagnosis = diagnose(store, machine)
    assert not diagnosis.is_usable
    assert diagnosis.lines[-1].startswith("usable     no: ")
    return diagnosis.lines[-1].removeprefix("usable     no: ")


def test_a_good_store_is_usable(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    diagnosis = diagnose(store, MACHINE)
    assert diagnosis.is_usable
    assert str(diagnosis).splitlines() == [
        "machine    x86_64",
        "gpus       none (no driver)",
        "libraries  openvino 2026.4.1",
        f"store      {store.path}: {CPU} from {archive_of(CPU)}, 5 files, 0.0 MiB",
        "  core: det_10g",
        "  inswapper_128: inswapper_128",
        "signed     not asked for, as no root is configured",
        "missing    nothing",
        f"would use  {CPU} from {store.path} on the CPU; second best: none",
        "usable     yes",
    ]


def test_json_has_the_same_facts(store: Store, tmp_path: Path) -> None:
    booted(store, publish(tmp_path / "layout", RTX), WORKSTATION)
    facts = json.loads(diagnose(store, WORKSTATION, [L4]).to_json())
    assert (facts["is_usable"], facts["would_use"], facts["faults"]) == (True, RTX, [])
    assert facts["machine"]["gpu_archs"] == list(WORKSTATION.gpu_archs)
    assert facts["gpus"][0]["name"] == "NVIDIA L4"
    assert facts["store"]["models"] == {"det_10g": "core", "inswapper_128": "inswapper_128"}
    facts = json.loads(diagnose(Store(tmp_path / "none"), WORKSTATION).to_json())
    assert (facts["is_usable"], facts["would_use"]) == (False, None)
    assert facts["store"] == {"path": str(tmp_path / "none"), "cache_key": None}
    assert facts["faults"][0].endswith(f"run: morphstream boot --store {tmp_path / 'none'}")


def test_each_gpu_has_a_line(store: Store) -> None:
    lines = diagnose(store, WORKSTATION, [L4]).lines
    assert lines[2] == "  0: NVIDIA L4, 24.0 GiB, in use: memory 1.5 GiB, time 37%"


def test_commands_name_the_store_only_where_they_would_take_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MORPHSTREAM_STORE", raising=False)
    assert last_of(Store("store"), MACHINE).endswith("; run: morphstream boot")
    assert last_of(Store("/my store"), MACHINE).endswith("; run: morphstream boot --store '/my store'")
    monkeypatch.setenv("MORPHSTREAM_STORE", "/my store")
    assert last_of(Store("/my store"), MACHINE).endswith("; run: morphstream boot")


def test_gpus_are_shown_with_their_driver_and_what_is_best_for_them(store: Store) -> None:
    lines = diagnose(store, replace(WORKSTATION, gpu_archs=("sm120", "sm89"))).lines
    assert "gpus       sm120, sm89, driver 575.57" in lines
    assert "cuda       up to 12.9 by the driver, libraries for 12.0" in lines
    best = "sm120/rtx1.7_ort1.31 on the GPU sm120 or else sm89/rtx1.7_ort1.31 on the GPU sm89"
    assert f"would use  nothing from {store.path}; the best for this machine: {best}" in lines


def test_a_machine_with_nothing_is_shown_the_cpu(store: Store) -> None:
    lines = diagnose(store, replace(MACHINE, libraries={})).lines
    assert "libraries  none" in lines
    assert f"would use  nothing from {store.path}; the best for this machine: none" in lines
    expected = "CPU: expected openvino on x86_64 or aarch64, seen none on x86_64; run: pip install 'morphstream[cpu]'"
    assert f"note       {expected}" in lines


def test_engines_for_a_gpu_are_used_on_it_and_the_cpu_is_second_best(store: Store, tmp_path: Path) -> None:
    booted(store, publish(tmp_path / "layout", RTX), WORKSTATION)
    diagnosis = diagnose(store, WORKSTATION)
    best = f"{RTX} from {store.path} on the GPU sm89; second best: portable/rtx1.7_ort1.31 on the GPU"
    assert diagnosis.lines[-2:] == (f"would use  {best}", "usable     yes")


def test_engines_for_a_cpu_are_used_beside_a_gpu_and_better_ones_are_shown(store: Store, layout: Path) -> None:
    booted(store, layout, MACHINE)
    diagnosis = diagnose(store, WORKSTATION)
    assert diagnosis.is_usable
    assert diagnosis.lines[-2:] == (
        f"note       store: expected {RTX}, the best for this machine, seen {CPU}; "
        f"if such an archive is published, run: morphstream boot --update --store {store.path}",
        "usable     yes, on the CPU",
    )


@pytest.mark.parametrize(
    ("machine", "shown"),
    [
        pytest.param(replace(WORKSTATION, driver_cuda="11.8"), "driver: expected 525.60.13", id="an old driver"),
        pytest.param(replace(WORKSTATION, gpu_archs=("sm61",)), "GPU: expected sm75 or newer", id="an old GPU"),
        pytest.param(
            replace(MACHINE, no_gpu="Unknown Error", driver_files=("/dev/nvidia0",)), "GPU: expected", id="a lost GPU"
        ),
    ],
)
def test_what_keeps_a_gpu_from_use_is_shown_where_the_cpu_is_used(
    store: Store, layout: Path, machine: Machine, shown: str
) -> None:
    booted(store, layout, MACHINE)
    diagnosis = diagnose(store, machine)
    assert diagnosis.is_usable
    would_use, note, usable = diagnosis.lines[-3:]
    assert would_use == f"would use  {CPU} from {store.path} on the CPU; second best: none"
    assert note.startswith(f"note       {shown}")
    assert usable == "usable     yes, on the CPU"


def test_engines_for_a_gpu_are_not_usable_under_an_old_driver(store: Store, tmp_path: Path) -> None:
    booted(store, publish(tmp_path / "layout", TRT), SERVER)
    machine = replace(SERVER, driver="470.82", driver_cuda="11.4")
    assert last_of(store, machine).startswith("driver: expected 525.60.13 or newer")
    assert f"would use  nothing from {store.path}; the best for this machine: none" in diagnose(store, machine).lines


def test_two_runtimes_are_a_warning(store: Store, tmp_path: Path) -> None:
    booted(store, publish(tmp_path / "layout", TRT), SERVER)
    diagnosis = diagnose(store, replace(SERVER, packages=("onnxruntime", "onnxruntime-gpu")))
    assert diagnosis.is_usable
    assert diagnosis.lines[-2].startswith("note       ONNX Runtime: expected one package of it")


def test_what_only_a_builder_lacks_that_is_not_used_is_not_shown(store: Store, tmp_path: Path) -> None:
    booted(store, publish(tmp_path / "layout", RTX), WORKSTATION)
    machine = replace(WORKSTATION, libraries={**WORKSTATION.libraries, "tensorrt": "10.14.1"})
    assert not any(line.startswith("note ") for line in diagnose(store, machine).lines)


def test_a_store_in_bfloat16_is_usable_where_the_cpu_has_it_alone(store: Store, tmp_path: Path) -> None:
    layout = publish(tmp_path / "layout", CPU, f"{CPU}_bf16")
    boot(store, target="cpu-bf16", source=layout, machine=MACHINE)
    assert diagnose(store, replace(MACHINE, has_bfloat16=True)).is_usable
    expected = f"{CPU}_bf16: expected a CPU with bfloat16, seen one without; use another machine, or boot for this"
    assert last_of(store, MACHINE) == f"{expected} machine: morphstream boot --store {store.path}"


def _empty(store: Store) -> None:
    (store.path / "current.json").unlink()


def _lose(store: Store) -> None:
    (store.current().folder / "det_10g.bin").unlink()


def _alter(store: Store) -> None:
    (store.current().folder / "det_10g.bin").write_bytes(bytes(5000))


def _damage_record(store: Store) -> None:
    (store.path / "current.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "shown", "remedy"),
    [
        pytest.param(_empty, "expected engines, seen none; run: ", "boot", id="empty"),
        pytest.param(
            _lose, "is damaged: det_10g.bin: expected a file, seen none", "boot --verify", id="a missing file"
        ),
        pytest.param(_alter, "is damaged: det_10g.bin: expected ", "boot --verify", id="an altered byte"),
        pytest.param(_damage_record, "is damaged: ", "boot --verify", id="a damaged record"),
    ],
)
def test_a_bad_store_is_not_usable_until_the_command_that_is_shown_has_run(
    store: Store, layout: Path, spoil: Callable[[Store], None], shown: str, remedy: str
) -> None:
    booted(store, layout, MACHINE)
    spoil(store)
    line = last_of(store, MACHINE)
    assert line.startswith(f"store {store.path}")
    assert shown in line
    assert line.endswith(f"; run: morphstream {remedy} --store {store.path}")
    boot(store, source=layout, machine=MACHINE, verify="--verify" in remedy)
    assert diagnose(store, MACHINE).is_usable


@pytest.mark.parametrize(
    ("place", "seen"),
    [
        pytest.param("current.json", "Is a directory", id="a folder in a file's place"),
        pytest.param(".", "Not a directory", id="a file in a folder's place"),
        pytest.param("loop", "Too many levels of symbolic links", id="what can't be followed"),
    ],
)
def test_a_store_that_cannot_be_read_is_not_called_empty(tmp_path: Path, place: str, seen: str) -> None:
    path = tmp_path / "store"
    if place == "current.json":
        (path / place).mkdir(parents=True)
    elif place == "loop":
        path.symlink_to(path)
    else:
        path.touch()
    line = last_of(Store(path), MACHINE)
    expected = f"store {path}: expected files to read, seen {seen} of {path}/current.json"
    assert line == f"{expected}; move it away, or name another store"


def test_a_store_of_another_version_is_not_usable(store: Store, layout: Path) -> None:
    booted(store, layout, MACHINE)
    assert last_of(store, replace(MACHINE, libraries={"openvino": "2026.5.0"})) == (
        f"{CPU}: expected OpenVINO 2026.4, seen 2026.5.0; run: pip install 'openvino==2026.4.*'; "
        f"or boot for this machine: morphstream boot --store {store.path}"
    )


def test_a_store_for_another_tensorrt_is_not_usable(store: Store, tmp_path: Path) -> None:
    booted(store, publish(tmp_path / "layout", TRT), SERVER)
    line = last_of(store, replace(SERVER, libraries={"onnxruntime": "1.24.4", "tensorrt": "10.9.0"}))
    installing = "pip install --extra-index-url https://pypi.nvidia.com 'tensorrt-cu12==10.14.*'"
    assert line.startswith(f"{TRT}: expected TensorRT 10.14, seen 10.9.0; run: {installing}; or boot for this machine")


def test_a_store_for_another_gpu_is_not_usable(store: Store, layout: Path) -> None:
    booted(store, layout, WORKSTATION, target="rtx-sm86")
    assert last_of(store, WORKSTATION) == (
        "sm86/rtx1.7_ort1.31: expected arch sm86, seen x86_64, sm89; use a machine with sm86, or boot for this "
        f"machine: morphstream boot --store {store.path}"
    )


def test_a_store_without_a_swap_model_is_not_usable(store: Store, tmp_path: Path) -> None:
    layout = publish(tmp_path / "layout", CPU, files=("det_10g.xml", "det_10g.bin"))
    boot(store, source=layout, machine=MACHINE)
    line = last_of(store, MACHINE)
    expected = "store: expected a detector and a swap model, seen the groups core alone; run: dvc repro && morphstream "
    assert line.startswith(expected)
    missing = next(line for line in diagnose(store, MACHINE).lines if line.startswith("missing "))
    assert missing.startswith("missing    swapper; for these run: dvc repro && morphstream boot --update ")


def test_what_is_published_already_is_downloaded_and_not_built(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE, groups=["core"])
    remedy = f"run: morphstream download inswapper_128_fp16 --store {store.path}"
    assert (
        last_of(store, MACHINE) == f"store: expected a detector and a swap model, seen the groups core alone; {remedy}"
    )
    other = Store(store.path.with_name("other"))
    boot(other, source=layout, machine=MACHINE, groups=["inswapper_128"])
    assert last_of(other, MACHINE).endswith(f"; run: morphstream boot --update --store {other.path}")


def test_roles_that_the_manifest_says_count_whatever_the_groups_are_called(store: Store, tmp_path: Path) -> None:
    layout = publish(tmp_path / "layout", CPU, groups={"det_10g": "eyes", "inswapper_128": "eyes"})
    say_roles(layout, CPU)
    boot(store, source=layout, machine=MACHINE)
    diagnosis = diagnose(store, MACHINE)
    assert diagnosis.is_usable
    assert "  eyes: det_10g, inswapper_128" in diagnosis.lines
    missing = "missing    embedder, occluder, parser, landmarker, person_detector; for these run: "
    assert any(line.startswith(missing) for line in diagnosis.lines)
