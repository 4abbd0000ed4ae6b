"""Parse the command line, run the command it names, and exit with what came of it."""

import argparse
import io
import json
import os
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout

from morphstream import __version__
from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.cli import (
    batch,
    bench,
    boot,
    completion,
    deploy,
    doctor,
    download,
    faces,
    inspect,
    live,
    serve_health,
    swap,
)
from morphstream.cli.options import Parser, UsageError, add_store, print_any_text, text_of

_COMMANDS = (boot, download, swap, live, faces, batch, inspect, doctor, bench, serve_health, deploy, completion)
_ASKING = (inspect, doctor, bench, faces, completion)  # whose answer --quiet leaves


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0 done, 1 refused in one line on stderr, 2 wrong usage.

    Args:
        arguments: Of the command line; None for those of this process.

    Raises:
        SystemExit: Wrong usage, with 2; or help was asked for, with 0.
    """
    print_any_text()
    words, options = sys.argv[1:] if arguments is None else arguments, argparse.Namespace()
    parser = Parser(prog="morphstream", description="Boot verified artifacts and swap faces.")
    parser.add_argument("--version", action="version", version=f"morphstream {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    try:
        for command in _COMMANDS:
            command.add(commands)
        for subparser in commands.choices.values():
            add_store(subparser)
            subparser.add_argument("--quiet", action="store_true", help="print what is refused or asked for, no more")
        parser.set_defaults(whole=parser)
        options = parser.parse_args(words)
        return _run_quietly(options) if options.quiet else int(options.run(options))
    except BrokenPipeError:  # nobody reads on what is printed
        return 1
    except (MorphstreamError, OSError) as error:
        print(message_of(f"{' '.join(['morphstream', *words[:1]])}: {text_of(error)}"), file=sys.stderr)
        if getattr(options, "json", "--json" in words):  # an option may be shortened
            print(json.dumps({**getattr(options, "so_far", dict)(), "error": text_of(error)}, indent=2))
        return 1
    except UsageError as error:
        commands.choices[options.command].error(str(error))


def _run_quietly(options: argparse.Namespace) -> int:
    """Run a command without its notes and progress; what it did is printed only where that went wrong."""
    is_asked = getattr(options, "json", False) or options.run in [command.run for command in _ASKING]
    done = io.StringIO()
    with open(os.devnull, "w") as nowhere, ExitStack() as stack:  # noqa: PTH123  # it has to be a file, for programs
        stack.enter_context(redirect_stderr(nowhere))
        if not (is_asked or options.run in (live.run, serve_health.run)):  # which say where they are
            stack.enter_context(redirect_stdout(done))
        code = int(options.run(options))
    if code:
        print(done.getvalue(), end="", file=sys.stderr)
    return code
