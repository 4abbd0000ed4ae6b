"""A tolerance that bounds nothing is refused where params.yaml is read, in a line that names its key."""

import math
import re

import pytest

from stages.params import ParamsError
from stages.tolerance import SINGLE, Tolerance
from stages.workspace import Workspace
from tests.stages import document, refusal, write_params

NAME = "det_10g"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param("cosine", math.nan, "a finite number, seen NaN", id="cosine NaN"),
        pytest.param("cosine", math.inf, "Infinity", id="cosine infinite"),
        pytest.param("cosine", 1.00001, "0.5 to 1, seen 1.00001", id="cosine above 1"),
        pytest.param("cosine", -1.0, "0.5 to 1, seen -1.0", id="cosine of the opposite"),
        pytest.param("cosine", 0.0, "0.5 to 1, seen 0.0", id="cosine of anything"),
        pytest.param("cosine", "high", "a number with a fraction", id="cosine in words"),
        pytest.param("levels", -1, "0 to 127, seen -1", id="levels negative"),
        pytest.param("levels", 255, "0 to 127, seen 255", id="levels of any crop"),
        pytest.param("levels", 128, "0 to 127, seen 128", id="levels of half the range"),
        pytest.param("levels", 256, "0 to 127, seen 256", id="levels beyond a crop"),
        pytest.param("levels", 1.5, "an integer", id="levels with a fraction"),
        pytest.param("levels", math.inf, "Infinity", id="levels infinite"),
        pytest.param("levels", True, "an integer", id="levels true"),
        pytest.param("pixels", -0.5, "0 to 32.0, seen -0.5", id="pixels negative"),
        pytest.param("pixels", 640.0, "0 to 32.0, seen 640.0", id="pixels of a whole image"),
        pytest.param("pixels", math.nan, "a finite number, seen NaN", id="pixels NaN"),
        pytest.param("score", 1.0, "0 to 0.5, seen 1.0", id="score of anything"),
        pytest.param("labels", 1.0, "0 to 0.5, seen 1.0", id="labels of anything"),
        pytest.param("labels", -math.inf, "-Infinity", id="labels infinite"),
        pytest.param("degrees", 1.0, "one of cosine, levels, pixels, score, labels", id="no such key"),
    ],
)
def test_a_senseless_bound_is_refused_in_a_line(workspace: Workspace, key: str, value: object, expected: str) -> None:
    data = document()
    data["models"][NAME]["tolerance"] = {key: value}
    with pytest.raises(ParamsError) as error:
        write_params(workspace.root, data)
    line = str(error.value)
    assert re.fullmatch(rf"params\.yaml: [^\n]*models\.{NAME}\.tolerance\.{key}\b[^\n]*; correct it there", line)
    assert expected in line


def test_a_stage_refuses_it_too(workspace: Workspace) -> None:
    data = document()
    data["models"][NAME]["tolerance"] = {"cosine": math.nan}
    with pytest.raises(ParamsError):
        write_params(workspace.root, data)
    assert refusal(workspace, "check", NAME).endswith(f"seen NaN in models.{NAME}.tolerance.cosine; correct it there")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1])
@pytest.mark.parametrize("key", ["cosine", "levels", "pixels", "score", "labels"])
def test_it_checks_itself_when_it_is_made(key: str, value: float) -> None:
    with pytest.raises(Exception, match=rf"^expected 0.* to .*, seen .* in '{key}'$"):
        Tolerance(**{key: value})  # type: ignore[arg-type]


def test_a_target_s_own_is_checked_too(workspace: Workspace) -> None:
    data = document()
    data["targets"]["cpu-bf16"]["tolerance"]["levels"] = 256
    with pytest.raises(ParamsError, match=r"targets\['cpu-bf16'\]\.tolerance\.levels: expected 0 to 127, seen 256"):
        write_params(workspace.root, data)


def test_what_params_leave_out_is_bounded_as_in_single_precision(workspace: Workspace) -> None:
    data = document()
    data["models"][NAME]["tolerance"] = {"cosine": 0.999, "levels": 1}
    tolerance = write_params(workspace.root, data).model(NAME).tolerance
    assert tolerance == Tolerance(cosine=0.999)
    assert (tolerance.pixels, tolerance.score, tolerance.labels) == (SINGLE.pixels, SINGLE.score, SINGLE.labels)
