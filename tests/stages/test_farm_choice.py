"""A choice is made of groups, models and targets that params.yaml has, in the order it has them."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path

import networkx as nx  # type: ignore[import-untyped]
import pytest

from morphstream.artifact.errors import MorphstreamError
from stages.farm.choice import Choice, choose, engine_stages
from stages.farm.pipeline import needed_first
from tests.stages import PARAMS, document, write_params


def every(models: Iterable[str], targets: Iterable[str]) -> Choice:
    """Return the choice of some models' engines for all of some targets."""
    return Choice(tuple((target, model) for model, target in product(models, targets)))


def test_groups_and_models_add_up() -> None:
    choice = choose(PARAMS, groups=["masks"], models=["det_10g", "xseg_1"], targets=["rtx-sm89", "cpu"])
    masks = ("xseg_1", "xseg_2", "xseg_3", "bisenet_resnet_34", "bisenet_resnet_18")
    assert choice == every(("det_10g", *masks), ("cpu", "rtx-sm89"))
    assert (choice.models, choice.targets) == (("det_10g", *masks), ("cpu", "rtx-sm89"))


def test_what_is_not_named_is_all() -> None:
    assert choose(PARAMS) == every(PARAMS.models, PARAMS.builds)


def test_single_engines_are_beside_what_else_is_named() -> None:
    engines = ["rtx-sm89/xseg_1", "cpu/xseg_1", "rtx-sm89/det_10g"]
    assert choose(PARAMS, engines=engines) == Choice(
        (("rtx-sm89", "det_10g"), ("cpu", "xseg_1"), ("rtx-sm89", "xseg_1"))
    )
    both = choose(PARAMS, engines=["rtx-sm89/xseg_1"], models=["2dfan4"], targets=["cpu"])
    assert both == Choice((("cpu", "2dfan4"), ("rtx-sm89", "xseg_1")))


def test_its_engines_are_a_stage_a_model_and_one_for_each_target_that_needs_its_gpu(tmp_path: Path) -> None:
    data = document()
    data["build_targets"]["trt-sm89"] = {"cache_key": "sm89/trt10.14_ort1.24", "archive": "trt-cache-sm89"}
    params = write_params(tmp_path, data)
    assert engine_stages(params, every(("det_10g", "xseg_1"), ("cpu", "rtx-sm89"))) == {
        "engines@det_10g": (None, "det_10g"),
        "engines@xseg_1": (None, "xseg_1"),
    }
    assert engine_stages(params, every(("xseg_1",), ("cpu", "trt-sm89"))) == {
        "engines@xseg_1": (None, "xseg_1"),
        "gpu_engine@trt-sm89-xseg_1": ("trt-sm89", "xseg_1"),
    }


@pytest.mark.parametrize(
    ("named", "message"),
    [
        pytest.param({"groups": ["mask"]}, "--group: expected one of core, .*masks.*, seen 'mask'", id="group"),
        pytest.param({"models": ["xseg"]}, "--model: expected one of .*xseg_1.*, seen 'xseg'", id="model"),
        pytest.param(
            {"engines": ["cpu/xseg"]}, "--engine: expected one of .*cpu/xseg_1.*, seen 'cpu/xseg'", id="engine"
        ),
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
