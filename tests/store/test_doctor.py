"""The doctor tells what is there and what is missing, and says yes only to a store that swaps faces here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from morphstream.store.boot import boot
from morphstream.store.doctor import diagnose
from morphstream.store.machine import Machine
from morphstream.store.store import Store
from tests.store.conftest import CPU, MACHINE, archive_of, publish


def test_a_good_store_is_usable(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    diagnosis = diagnose(store, MACHINE)
    assert diagnosis.is_usable
    assert str(diagnosis).splitlines() == [
        "machine    x86_64",
        "gpus       none (no driver)",
        "libraries  openvino 2026.4.1",
        "would use  x86_64/ov2026.4",
        f"store      {store.path}: {CPU} from {archive_of(CPU)}, 5 files, 0.0 MiB",
        "  core: det_10g",
        "  inswapper_128: inswapper_128",
        "missing    masks, inswapper_128_fp16, hyperswap_1a_256, hyperswap_1b_256, hyperswap_1c_256, yolov8n",
        "usable     yes",
    ]


def test_gpus_are_told_with_their_driver(store: Store) -> None:
    machine = Machine(arch="x86_64", gpu_archs=("sm120", "sm89"), libraries={}, driver="575.57")
    lines = diagnose(store, machine).lines
    assert "gpus       sm120, sm89, driver 575.57" in lines
    assert "libraries  none" in lines
    assert "would use  none: install morphstream[cpu], [gpu] or [rtx]" in lines


def test_bfloat16_is_told_with_the_cpu_and_not_what_would_be_used(store: Store) -> None:
    lines = diagnose(store, replace(MACHINE, has_bfloat16=True)).lines
    assert "machine    x86_64 with bfloat16" in lines
    assert f"would use  {CPU}" in lines


def test_a_store_in_bfloat16_is_usable_where_the_cpu_has_it_alone(store: Store, tmp_path: Path) -> None:
    layout = publish(tmp_path / "layout", CPU, f"{CPU}_bf16")
    boot(store, target="cpu-bf16", source=layout, machine=MACHINE)
    assert diagnose(store, replace(MACHINE, has_bfloat16=True)).is_usable
    diagnosis = diagnose(store, MACHINE)
    assert not diagnosis.is_usable
    expected = f"{CPU}_bf16: expected a CPU with bfloat16, seen one without; use another machine, or boot for this"
    assert diagnosis.lines[-1] == f"usable     no: {expected} machine"


def _empty(store: Store) -> None:
    (store.path / "current.json").unlink()


def _lose(store: Store) -> None:
    (store.current().folder / "det_10g.bin").unlink()


def _alter(store: Store) -> None:
    (store.current().folder / "det_10g.bin").write_bytes(bytes(5000))


@pytest.mark.parametrize(
    ("spoil", "mend"),
    [
        pytest.param(_empty, "; run: morphstream boot", id="empty"),
        pytest.param(_lose, "; run: morphstream boot", id="a missing file"),
        pytest.param(_alter, "current.json && morphstream boot", id="an altered byte"),
    ],
)
def test_a_bad_store_is_not_usable_and_the_last_line_says_what_mends_it(
    store: Store, layout: Path, spoil: Callable[[Store], None], mend: str
) -> None:
    boot(store, source=layout, machine=MACHINE)
    spoil(store)
    diagnosis = diagnose(store, MACHINE)
    assert not diagnosis.is_usable
    assert diagnosis.lines[-1].startswith("usable     no: ")
    assert diagnosis.lines[-1].endswith(mend)


def test_a_store_of_another_machine_is_not_usable(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    diagnosis = diagnose(store, replace(MACHINE, libraries={"openvino": "2026.5.0"}))
    assert not diagnosis.is_usable
    assert "expected OpenVINO 2026.4, seen 2026.5.0" in diagnosis.lines[-1]


def test_a_store_without_a_swap_model_is_not_usable(store: Store, tmp_path: Path) -> None:
    layout = publish(tmp_path / "layout", CPU, files=("det_10g.xml", "det_10g.bin"))
    boot(store, source=layout, machine=MACHINE)
    diagnosis = diagnose(store, MACHINE)
    assert not diagnosis.is_usable
    assert "expected the group core and a swap model, seen core" in diagnosis.lines[-1]
