"""What a boot tries, in order: the best engines from each source, then a build, then the CPU of a machine with GPUs."""

from dataclasses import replace
from pathlib import Path

import pytest

from morphstream.artifact.target import CacheKey
from morphstream.boot.order import attempts_in_order
from morphstream.machine.probe import Machine
from morphstream.source.folder import FolderSource
from morphstream.source.publication import Publication
from tests.layouts import CPU, MACHINE
from tests.machine.test_findings import WORKSTATION

RTX, PORTABLE = "sm89/rtx1.7_ort1.31", "portable/rtx1.7_ort1.31"
ON_CPU = f"{CPU} from a, {CPU} from b"
ON_GPU = f"{RTX} from a, {RTX} from b, {PORTABLE} from a, {PORTABLE} from b"


def order_of(machine: Machine, target: str, stopped: set[str], current: str, *, can_build: bool) -> str:
    """Return what a boot from the sources ``a`` and ``b`` tries, in words."""
    attempts = attempts_in_order(
        machine,
        target,
        [Publication(FolderSource(Path(name)), trust=None) for name in ("a", "b")],
        stopped=stopped,
        current=CacheKey.parse(current) if current else None,
        install=lambda key, publication: f"{key or 'any'} from {publication.source}",
        build=(lambda key: f"build {key}") if can_build else None,
    )
    return ", ".join(attempt() for attempt in attempts)


@pytest.mark.parametrize(
    ("machine", "target", "stopped", "current", "expected"),
    [
        pytest.param(MACHINE, "auto", set(), "", f"{ON_CPU}, build {CPU}", id="a CPU"),
        pytest.param(WORKSTATION, "auto", set(), "", f"{ON_GPU}, build {RTX}, {ON_CPU}", id="a GPU, and its CPU last"),
        pytest.param(WORKSTATION, "auto", {"tensorrt_rtx"}, "", ON_CPU, id="a GPU out of use"),
        pytest.param(WORKSTATION, "auto", set(), RTX, f"{RTX} from a, {RTX} from b, build {RTX}", id="nothing worse"),
        pytest.param(replace(MACHINE, libraries={}), "auto", set(), "", "", id="nothing that engines run on"),
        pytest.param(WORKSTATION, "cpu", set(), "", f"any from a, any from b, build {CPU}", id="a named target"),
        pytest.param(MACHINE, "rtx-sm86", set(), "", "any from a, any from b", id="one that can't be built here"),
    ],
)
def test_what_a_boot_tries_is_in_order(
    machine: Machine, target: str, stopped: set[str], current: str, expected: str
) -> None:
    assert order_of(machine, target, stopped, current, can_build=True) == expected


def test_without_a_builder_nothing_is_built() -> None:
    assert order_of(MACHINE, "auto", set(), "", can_build=False) == ON_CPU
