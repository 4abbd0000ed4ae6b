"""How much a command prints and in which colours: what was asked for goes to stdout, all else to stderr."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import Literal, TextIO

from morphstream.source.progress import is_terminal, show_line

Style = Literal["red", "green", "yellow", "bold"]
_CODES: Mapping[Style, str] = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``--quiet``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, refused or not")
    parser.add_argument("--quiet", action="store_true", help="print what is refused or asked for, no more")


def paint(text: str, style: Style, stream: TextIO) -> str:
    """Return a text in a style where a stream shows it: on a terminal without NO_COLOR, or by FORCE_COLOR."""
    is_painted = not os.environ.get("NO_COLOR") and (os.environ.get("FORCE_COLOR") or is_terminal(stream))
    return f"\033[{_CODES[style]}m{text}\033[0m" if is_painted and text else text


def paint_lines(text: str, styles: Mapping[str, Style], stream: TextIO) -> str:
    """Return a text with each line that begins with one of these words in its style."""
    found = ((line, [style for start, style in styles.items() if line.startswith(start)]) for line in text.splitlines())
    return "\n".join(paint(line, style[0], stream) if style else line for line, style in found)


def print_refusal(line: str) -> None:
    """Print a line such as ``name: what is wrong`` on stderr, in place of a line of progress."""
    show_line("")
    name, colon, text = line.partition(":")
    print(f"{paint(name + colon, 'red', sys.stderr)}{text}", file=sys.stderr)


def run_quietly(run: Callable[[], int], *, is_answer: bool) -> int:
    """Call a function without what it prints on stderr; return what it returns.

    Args:
        run: Returns an exit status. What it raises is for the caller to print.
        is_answer: Leave what it prints on stdout, as that was asked for; else it is printed only where the exit status
            isn't 0, on stderr.
    """
    done = io.StringIO()
    with open(os.devnull, "w") as nowhere, ExitStack() as stack:  # noqa: PTH123  # it has to be a file, for programs
        stack.enter_context(redirect_stderr(nowhere))
        if not is_answer:
            stack.enter_context(redirect_stdout(done))
        code = run()
    if code:
        print(done.getvalue(), end="", file=sys.stderr)
    return code
