"""`morphstream faces` numbers faces from left to right, on a sheet and in words, and names why there is none."""

import json
import re
from pathlib import Path

import pytest

from morphstream.cli.main import main
from morphstream.media.image import read_image
from morphstream.media.provenance import SOURCE_TYPE
from morphstream.media.sheet import SIDE
from morphstream.store.store import Store
from tests.cli import OLD, refusal, wrong_usage


def test_faces_are_numbered_from_left_to_right(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["faces", "group.jpg", "--store", str(booted.path)]) == 0
    first, _, *rows = capfd.readouterr().out.splitlines()
    assert first == "group.faces.png: 29 faces found in 1 look"
    assert [int(row.split()[0]) for row in rows] == list(range(1, 30))
    sheet = read_image(here / "group.faces.png")
    assert sheet.shape[1] == 6 * SIDE
    assert SOURCE_TYPE.encode() not in (here / "group.faces.png").read_bytes()  # they are the people themselves
    assert main(["faces", "group.jpg", "-o", "out.png", "--overwrite", "--json", "--store", str(booted.path)]) == 0
    report = json.loads(capfd.readouterr().out)
    assert (report["sheet"], report["looks"]) == ("out.png", 1)
    lefts = [face["box_xyxy"][0] + face["box_xyxy"][2] for face in report["faces"]]
    assert lefts == sorted(lefts)
    assert [face["number"] for face in report["faces"]] == list(range(1, 30))
    assert (read_image(here / "out.png") == sheet).all()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["nobody.png"], "nobody.png: expected a face, seen one colour everywhere; use", id="nobody"),
        pytest.param(["missing.png"], "missing.png: expected a picture, seen No such file", id="no picture"),
        pytest.param(
            ["source.png", "--max-pixels", "9"], "at most 9 pixels, seen 512 x 512; make it smaller", id="many"
        ),
        pytest.param(["out.png", "-o", "link.png", "--overwrite"], "link.png: expected another file than", id="itself"),
        pytest.param(["source.png", "-o", "out.png"], "out.png: expected no file, seen one; name another", id="a file"),
        pytest.param(
            ["source.png", "--min-score", "0.9"],
            "a place with a score of 0.90; use a sharper picture, or min-score",
            id="a high score",
        ),
    ],
)
def test_what_has_no_sheet_is_refused_in_a_line(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    (here / "link.png").symlink_to("out.png")
    before = sorted(here.iterdir())
    line = refusal(capfd, "faces", *arguments, "--angles", "0", "--store", str(booted.path))
    assert re.search(expected, line)
    assert (here / "out.png").read_bytes() == OLD
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--angles", "upright", "expected a number from -360 to 360, seen 'upright'"),
        ("--angles", "", "seen ''"),
        ("--angles", "0,nan", "seen 'nan'"),
        ("--angles", ",".join(["1"] * 73), "expected 72 angles"),
        ("--min-score", "0", "expected a number from 0.05 to 1, seen '0'"),
        ("--min-score", "nan", "seen 'nan'"),
        ("--detector-size", "-640", "expected a whole number from 32 to 8192, seen '-640'"),
        ("--detector-size", "1e9", "seen '1e9'"),
        ("--search", "everywhere", "invalid choice: 'everywhere'"),
    ],
)
def test_choices_of_finding_are_checked(
    here: Path, capfd: pytest.CaptureFixture[str], option: str, value: str, expected: str
) -> None:
    assert expected in wrong_usage(capfd, "faces", "source.png", f"{option}={value}")
