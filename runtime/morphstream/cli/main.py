"""Parse the command line, run the command it names, and exit with what came of it."""

import argparse
import json
import sys

from morphstream import __version__
from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.cli import batch, bench, boot, deploy, doctor, download, faces, inspect, live, serve_health, swap
from morphstream.cli.options import Parser, UsageError, add_store, print_any_text, text_of

_COMMANDS = (boot, download, swap, live, faces, batch, inspect, doctor, bench, serve_health, deploy)


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
        options = parser.parse_args(words)
        return int(options.run(options))
    except BrokenPipeError:  # nobody reads on what is printed
        return 1
    except (MorphstreamError, OSError) as error:
        print(message_of(f"{' '.join(['morphstream', *words[:1]])}: {text_of(error)}"), file=sys.stderr)
        if getattr(options, "json", "--json" in words):  # an option may be shortened
            print(json.dumps({**getattr(options, "so_far", dict)(), "error": text_of(error)}, indent=2))
        return 1
    except UsageError as error:
        commands.choices[options.command].error(str(error))
