"""Parse the command line, run the command it names, and exit with what came of it."""

import argparse
import json
import sys
from functools import partial

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
    verify,
)
from morphstream.cli.options import Parser, UsageError, add_store, print_any_text, text_of
from morphstream.cli.output import add_output, print_refusal, run_quietly

_COMMANDS = (boot, download, swap, live, faces, batch, inspect, doctor, bench, serve_health, deploy, verify, completion)
_ANSWERS = [
    one.run for one in (inspect, doctor, bench, faces, completion, live, serve_health, verify)
]  # --quiet leaves them


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
            add_output(subparser)
        parser.set_defaults(whole=parser)
        options = parser.parse_args(words)
        run = partial(options.run, options)
        return run_quietly(run, is_answer=options.json or options.run in _ANSWERS) if options.quiet else run()
    except BrokenPipeError:  # nobody reads on what is printed
        return 1
    except (MorphstreamError, OSError) as error:
        print_refusal(message_of(f"{' '.join(['morphstream', *words[:1]])}: {text_of(error)}"))
        if getattr(options, "json", "--json" in words):  # an option may be shortened
            print(json.dumps({**getattr(options, "so_far", dict)(), "error": text_of(error)}, indent=2))
        return 1
    except KeyboardInterrupt as error:
        for note in getattr(error, "__notes__", ()):  # what is written, and how to go on
            print(note, file=sys.stderr)
        raise
    except UsageError as error:
        commands.choices[options.command].error(str(error))
