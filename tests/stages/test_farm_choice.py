"""A choice is made of groups, models and targets that params.yaml has, in the order it has them."""

import networkx as nx  # type: ignore[import-untyped]
import pytest

from morphstream.artifact.errors import MorphstreamError
from stages.farm.choice import Choice, choose, engine_stages
from stages.farm.pipeline import needed_first
from tests.stages import PARAMS


def test_groups_and_models_add_up() -> None:
    choice = choose(PARAMS, groups=["masks"], models=["det_10g", "xseg_1"], targets=["rtx-sm89", "cpu"])
    masks = ("xseg_1", "xseg_2", "xseg_3", "bisenet_resnet_34", "bisenet_resnet_18")
    assert choice == Choice(("det_10g", *masks), ("cpu", "rtx-sm89"))


def test_what_is_not_named_is_all() -> None:
    assert choose(PARAMS) == Choice(tuple(PARAMS.models), tuple(PARAMS.builds))


def test_its_engines_are_every_model_for_every_target() -> None:
    choice = Choice(("det_10g", "xseg_1"), ("cpu", "rtx-sm89"))
    assert list(engine_stages(choice)) == [
        ("compile@cpu-det_10g", "cpu", "det_10g"),
        ("compile@cpu-xseg_1", "cpu", "xseg_1"),
        ("compile@rtx-sm89-det_10g", "rtx-sm89", "det_10g"),
        ("compile@rtx-sm89-xseg_1", "rtx-sm89", "xseg_1"),
    ]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        pytest.param({"groups": ["mask"]}, "--group: expected one of core, .*masks.*, seen 'mask'", id="group"),
        pytest.param({"models": ["xseg"]}, "--model: expected one of .*xseg_1.*, seen 'xseg'", id="model"),
        pytest.param({"targets": ["sm89"]}, "--target: expected one of cpu, .*, seen 'sm89'", id="target"),
    ],
)
def test_an_unknown_name_is_refused(named: dict[str, list[str]], message: str) -> None:
    with pytest.raises(MorphstreamError, match=message):
        choose(PARAMS, **named)


def test_what_stages_need_comes_first_and_no_stages_need_nothing() -> None:
    graph = nx.DiGraph([("index", "compile"), ("compile", "prepare"), ("check", "prepare")])
    assert needed_first(graph, ["index"]) == ["prepare", "compile", "index"]
    assert needed_first(graph, []) == []
