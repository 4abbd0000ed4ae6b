"""However a person writes params.yaml, an edit changes the lines that it is about and no other."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.params import ParamsError, load_params
from stages.params_file import edit_params
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
        pytest.param(dumped(Dumper=yaml.SafeDumper), id="lists below their keys"),
        pytest.param(dumped(Dumper=Offset), id="lists deeper than their keys"),
        pytest.param(dumped(Dumper=Offset, indent=4), id="four spaces"),
    ],
)
def test_every_other_line_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode())

    def edit(data: Any) -> None:
        data["models"]["xseg_1"]["bytes"] = 7

    said = edit_params(path, edit).splitlines()
    assert [line.split() for line in said if line[0] in "+-"][2:] == [["-", "bytes:", "70324286"], ["+", "bytes:", "7"]]
    assert path.read_bytes() == text.replace("bytes: 70324286", "bytes: 7", 1).encode()
    assert load_params(path).model("xseg_1").bytes == 7


def test_what_cannot_be_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, "utf-8")

    def edit(data: Any) -> None:
        data["models"]["xseg_1"]["bytes"] = -1

    with pytest.raises(ParamsError):
        edit_params(path, edit)
    assert path.read_text("utf-8") == TEXT
