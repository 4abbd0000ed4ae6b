"""``morphstream completion``: print a script that completes the command line in a shell."""

import argparse
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.cli.options import Commands, Parser

_SHELLS = ("bash", "zsh", "fish")


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("completion", help="print a script that completes this command line in a shell")
    text = 'the shell; for bash: eval "$(morphstream completion bash)"'
    parser.add_argument("shell", choices=_SHELLS, help=text)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the script for `options.whole`, the parser of the command line."""
    try:
        import shtab
    except ModuleNotFoundError as error:
        expected = f"completion: expected shtab, seen none ({error})"
        raise MorphstreamError(f"{expected}; run: pip install 'morphstream[completion]'") from error
    for parser in _parsers(options.whole):
        for action in parser._actions:  # argparse has no public way to them
            if action.type is Path or action.dest in ("paths", "source", "store"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # which shtab looks for
    print(shtab.complete(options.whole, options.shell))
    return 0


def _parsers(parser: argparse.ArgumentParser) -> list[Parser]:
    """Return the parsers of a parser's commands."""
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return list(commands.choices.values())
