"""However a person writes params.yaml, an edit changes the lines that it is about and no other."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.params import ParamsError, load_params
from stages.params_file import _with_value, edit_params
from tests.stages import ROOT, document

TEXT = (ROOT / "params.yaml").read_text("utf-8")


class Offset(yaml.SafeDumper):
    """Writes lists deeper than their keys."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT002 - YAML's
        """Indent, a list too."""
        super().increase_indent(flow, False)


def dumped(**options: Any) -> str:
    text: str = yaml.dump(document(), sort_keys=False, width=4096, **options)
    return text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT, id="the project's own"),
        pytest.param(TEXT.replace("\n", "\r\n"), id="lines as on Windows"),
        pytest.param(TEXT.removesuffix("\n") + "\n# the end\n", id="a comment at its end"),
        pytest.param(f"﻿---\n{TEXT}...\n", id="a byte order mark, the document's start and end"),
        pytest.param(TEXT.replace("] # ", "]\t# "), id="tabs before comments"),
        pytest.param(TEXT.replace("\n", "\r\n", 9).replace("# Every", "# Jede für 日本"), id="lines of both kinds"),
        pytest.param(TEXT.replace("role: swapper", "# why\n    role: &anchor swapper ", 1), id="an anchor and a space"),
        pytest.param(TEXT.removesuffix("\n"), id="no end of the last line"),
        pytest.param(dumped(Dumper=yaml.SafeDumper), id="lists below their keys"),
        pytest.param(dumped(Dumper=Offset), id="lists deeper than their keys"),
        pytest.param(dumped(Dumper=Offset, indent=4), id="four spaces"),
    ],
)
def test_every_other_line_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode())

    said = edit_params(path, {("models", "xseg_1", "bytes"): 7}).splitlines()
    assert [line.split() for line in said if line[0] in "+-"][2:] == [["-", "bytes:", "70324286"], ["+", "bytes:", "7"]]
    assert path.read_bytes() == text.replace("bytes: 70324286", "bytes: 7", 1).encode()
    assert load_params(path).model("xseg_1").bytes == 7


def test_what_cannot_be_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, "utf-8")

    with pytest.raises(ParamsError):
        edit_params(path, {("models", "xseg_1", "bytes"): -1})
    assert path.read_text("utf-8") == TEXT


ENTRY = {"file": "models/new.onnx", "origin": "folder", "licence": "yes", "bytes": 7}
LINES = ('   "2":', "      file: models/new.onnx", "      origin: folder", "      licence: 'yes'", "      bytes: 7")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["Linux", "Windows", "an old Mac"])
@pytest.mark.parametrize("end", ["", "\n", "\n# the end\n", "\n\nx: 1\n"], ids=["none", "one", "a comment", "another"])
def test_a_new_entry_is_the_last_of_its_object(end: str, line_end: str) -> None:
    text = "models:\n   one:\n      file: a # why\n      shape:\n      - 1 # one"
    after = _with_value((text + end).replace("\n", line_end), ("models", "2"), ENTRY, None)
    assert after == ("\n".join([text, *LINES]) + end).replace("\n", line_end)
    assert yaml.safe_load(after)["models"]["2"] == ENTRY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("m: {a: 1, b: 2} # c\n", "m: {a: 1, k: v, b: 2} # c\n", id="on one line"),
        pytest.param("m:\n  a: 1 # c\n  # d\n  b: 2\n", "m:\n  a: 1 # c\n  k: v\n  # d\n  b: 2\n", id="on lines"),
        pytest.param("m:\n  b: 2\n  a:", "m:\n  b: 2\n  a:\n  k: v", id="after nothing"),
        pytest.param(
            "x: &x 1\nm:\n  a: *x # d\n  b: 2", "x: &x 1\nm:\n  a: *x # d\n  k: v\n  b: 2", id="after an alias"
        ),
    ],
)
def test_a_new_key_comes_after_the_one_before(text: str, expected: str) -> None:
    assert _with_value(text, ("m", "k"), "v", "a") == expected


def test_what_aliases_share_is_not_changed_for_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = TEXT.replace("bytes: 70324286", "bytes: &size 70324286", 1).replace("bytes: 70324286", "bytes: *size", 1)
    path.write_text(text, "utf-8")
    with pytest.raises(ParamsError, match=r"models\.xseg_2: expected values that are written out, seen aliases"):
        edit_params(path, {("models", "xseg_2", "bytes"): 7})
    assert path.read_text("utf-8") == text
