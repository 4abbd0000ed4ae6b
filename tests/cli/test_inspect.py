"""`morphstream inspect` says what a file says of how it was made, and refuses what is neither picture nor video."""

import errno
import io
import json
import re
from pathlib import Path

import pytest

from morphstream.cli.main import main
from morphstream.media.image import write_image
from morphstream.media.provenance import SOURCE_TYPE
from tests.cli import refusal
from tests.face import noise


def test_the_marks_of_a_swapped_picture_are_read_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "swapped.jpg"
    write_image(path, noise(40, 60))
    assert main(["inspect", str(path)]) == 0
    first, *marks = capfd.readouterr().out.splitlines()
    assert first == f"{path}: a picture (JPEG), says that it is synthetic"
    assert marks[:2] == [f"  XMP  source type {SOURCE_TYPE}", "  XMP  made with morphstream"]
    assert main(["inspect", str(path), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["kind"], found["is_synthetic"]) == ("picture (JPEG)", True)
    assert found["marks"][0] == {"place": "XMP", "text": f"source type {SOURCE_TYPE}", "is_synthetic": True}


def test_nothing_is_said_to_who_reads_no_further(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("sys.stdout", Closed())  # as without a buffer, behind ``| head -1``
    assert main(["inspect", str(here / "group.jpg")]) == 1
    assert capfd.readouterr().err == ""


def test_a_photo_has_no_mark(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "group.jpg"]) == 0
    assert capfd.readouterr().out.startswith(
        "group.jpg: a picture (JPEG), has no mark that says that it is synthetic\n"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("missing.png", "missing.png: expected a file to read or write, seen No such file", id="missing"),
        pytest.param("text.png", "text.png: expected a picture or a video, seen neither", id="text"),
        pytest.param("out", "out: expected", id="a folder"),
    ],
)
def test_what_is_neither_is_refused_in_a_line(
    here: Path, capfd: pytest.CaptureFixture[str], name: str, expected: str
) -> None:
    (here / "out").mkdir()
    assert re.match(expected, refusal(capfd, "inspect", name))
