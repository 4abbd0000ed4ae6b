"""Change params.yaml as a person would: comments, order and every other line stay."""

import difflib
import re
import tempfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.files import write_whole
from stages.params import load_params


def edit_params(path: Path, edit: Callable[[Any], None]) -> str:
    """Change the document of params.yaml, and return the difference, to be reviewed; what can't be read isn't written.

    Raises:
        ParamsError: The result can't be read.
        OSError: It can't be written.
    """
    before, text = path.read_bytes().decode(), StringIO()
    yaml = editor(plain := before.replace("\r\n", "\n"))
    document = yaml.load(plain)
    edit(document)
    yaml.dump(document, text)
    after = text.getvalue().replace("\n", "\r\n" if "\r\n" in before else "\n")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / path.name).write_bytes(after.encode())
        load_params(Path(folder) / path.name)
    write_whole(path, after.encode())
    return difference(path.name, before, after)


def editor(text: str = "") -> YAML:
    """Return a reader and writer that keeps comments, quotes, long lines, and how a text is indented."""
    yaml = YAML()
    step = len(found[1]) if (found := re.search(r"^[^\s#][^\n]*: *\n( +)[^\s#-]", text, re.M)) else 2
    offset = len(found[2]) if (found := re.search(r"^( *)[^\s#-][^\n]*: *\n\1( +)- ", text, re.M)) else 0
    yaml.indent(mapping=step, sequence=offset + 2, offset=offset)
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.representer.add_representer(
        type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def difference(name: str, before: str, after: str) -> str:
    """Return the difference of two texts, as `diff -u` prints it."""
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm=""))
