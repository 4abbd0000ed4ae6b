"""Change params.yaml as a person would: comments, order and every other line stay."""

import difflib
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
    before, text = path.read_text("utf-8"), StringIO()
    yaml = editor()
    document = yaml.load(before)
    edit(document)
    yaml.dump(document, text)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / path.name).write_text(text.getvalue(), "utf-8")
        load_params(Path(folder) / path.name)
    write_whole(path, text.getvalue().encode())
    return difference(path.name, before, text.getvalue())


def editor() -> YAML:
    """Return a reader and writer that keeps comments, quotes and long lines."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.representer.add_representer(
        type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def difference(name: str, before: str, after: str) -> str:
    """Return the difference of two texts, as `diff -u` prints it."""
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm=""))
