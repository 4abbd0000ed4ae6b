"""What the project's own programs say of themselves with ``--help``, in this process, as starting each takes longer."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from morphstream.cli.main import main as run_morphstream
from stages.workspace import Workspace

Program = tuple[str, ...]
_WIDTH = 100_000  # so that each option is on one line


def help_of(program: Program, root: Path) -> str:
    """Return what a program of this project prints with ``--help``, each option on one line.

    Args:
        program: ``("morphstream", COMMAND)`` or ``("python", "-m", MODULE)``, with the words of a command behind.
        root: The project's folder.

    Raises:
        ValueError: There is no such program, or no such command of it.
    """
    name, *words = program if program[0] == "morphstream" else program[2:]
    output = io.StringIO()
    try:
        with _started([name.replace(".", "/") + ".py", *words, "--help"]), redirect_stdout(output):
            if name == "morphstream":
                run_morphstream()
            else:
                _module(name).main(Workspace(root))
    except SystemExit as end:
        if not end.code:
            return output.getvalue()
    raise ValueError(f"{' '.join(program)}: expected a program that has --help, seen none")


def _module(name: str) -> "_Stage":
    try:
        is_package = bool((spec := find_spec(name)) and spec.submodule_search_locations)
        module: _Stage = import_module(f"{name}.__main__" if is_package else name)  # type: ignore[assignment]
    except ModuleNotFoundError:
        raise ValueError(f"{name}: expected a module of this project, seen none") from None
    return module


class _Stage:
    """A module that is a program."""

    def main(self, workspace: Workspace) -> None:
        """Run it."""


@contextmanager
def _started(words: Sequence[str]) -> Iterator[None]:
    """Have these as the words of this process's command line, which wide output is for."""
    before, width = sys.argv, os.environ.get("COLUMNS")
    sys.argv, os.environ["COLUMNS"] = [*words], str(_WIDTH)
    try:
        yield
    finally:
        sys.argv = before
        os.environ.pop("COLUMNS")
        if width is not None:
            os.environ["COLUMNS"] = width
