"""How two declarations differ is said in words, down to the value."""

from typing import Any

import pytest

from stages.farm.plan import Stale, table
from stages.farm.why import declared_differences, differences


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param({"batch": 1, "arch": "sm89"}, {"batch": 8, "arch": "sm89"}, ["params: batch 1 -> 8"], id="number"),
        pytest.param({"precision": "fp16"}, {"precision": "fp32"}, ["params: precision fp16 -> fp32"], id="word"),
        pytest.param(
            {"toolchain": {"tensorrt_rtx": "1.7.1.116"}},
            {"toolchain": {"tensorrt_rtx": "1.7.2"}},
            ["toolchain: tensorrt_rtx 1.7.1.116 -> 1.7.2"],
            id="toolchain",
        ),
        pytest.param({"source": "0" * 64}, {"source": "1" * 64}, ["its source changed"], id="source"),
        pytest.param(
            {"inputs": {"a": [1, 3]}}, {"inputs": {"a": [-1, 3]}}, ["params: inputs.a [1, 3] -> [-1, 3]"], id="shape"
        ),
        pytest.param({"models": ["a", "b"]}, {"models": ["b", "c"]}, ["params: models -a +c"], id="models"),
        pytest.param(
            {"models": ["a", "b"]}, {"models": ["b", "a"]}, ["params: models in another order"], id="another order"
        ),
        pytest.param({"models": {}}, {"models": {"a": {"b": 1}}}, ["params: models.a is new"], id="new"),
        pytest.param({"models": {"a": {"b": 1}}}, {"models": {}}, ["params: models.a is gone"], id="gone"),
        pytest.param({"sha256": None}, {"sha256": "ab"}, ["params: sha256 null -> ab"], id="null"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 1}}, [], id="the same"),
    ],
)
def test_a_difference_is_shown_by_its_key_and_both_values(old: Any, new: Any, words: list[str]) -> None:
    assert list(differences(old, new)) == words


def test_what_several_things_are_made_of_is_shown_by_the_thing() -> None:
    old = {
        "prepare": {"batches": [1], "source": "0"},
        "targets": {
            "cpu": {"toolchain": {"openvino": "1"}},
            "rtx-sm86": {"arch": "sm86"},
            "rtx-sm89": {"arch": "sm89"},
        },
        "check": {"tolerance": {"levels": 1}, "source": "0"},
    }
    new = {
        "prepare": {"batches": [1, 2], "source": "1"},
        "targets": {
            "cpu": {"toolchain": {"openvino": "2"}},
            "rtx-sm89": {"arch": "sm89"},
            "cpu-bf16": {"arch": "x86_64"},
        },
        "check": {"tolerance": {"levels": 2}, "source": "0"},
    }
    assert sorted(declared_differences(old, new)) == [
        "check: params: tolerance.levels 1 -> 2",
        "cpu-bf16: is new",
        "cpu: toolchain: openvino 1 -> 2",
        "prepare: its source changed",
        "prepare: params: batches [1] -> [1, 2]",
        "rtx-sm86: is gone",
    ]
    assert list(declared_differences({"level": 3}, {"level": 4})) == ["params: level 3 -> 4"]


def stale(stage: str, *why: str) -> Stale:
    return Stale(stage=stage, verb="", target=None, model=None, group=None, why=why)


def test_a_table_is_aligned_and_names_one_of_many_stale_stages() -> None:
    above = [f"{name} is stale" for name in "abc"]
    assert table([stale("short", "never built", *above[:2]), stale("longer", *above, "was altered")]).splitlines() == [
        "short   never built; a is stale; b is stale",
        "longer  was altered; a and 2 more are stale",
    ]


def test_nothing_stale_is_said() -> None:
    assert table([]) == "everything is up to date"
