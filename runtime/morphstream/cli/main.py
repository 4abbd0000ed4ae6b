"""Parse the command line, run the command it names, and exit with what came of it."""

import argparse
import signal
import sys

from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.cli import boot, deploy, doctor, download, serve_health, swap
from morphstream.cli.options import UsageError, add_store

_COMMANDS = (boot, download, swap, doctor, serve_health, deploy)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0 done, 1 refused in one line on stderr, 2 wrong usage, 130 interrupted.

    Args:
        arguments: Of the command line; None for those of this process.

    Raises:
        SystemExit: Wrong usage, with 2; or help was asked for, with 0.
    """
    parser = argparse.ArgumentParser(prog="morphstream", description="Boot verified artifacts and swap faces.")
    commands = parser.add_subparsers(dest="command", required=True)
    try:
        for command in _COMMANDS:
            command.add(commands)
        for subparser in commands.choices.values():
            add_store(subparser)
        options = parser.parse_args(arguments)
        return int(options.run(options))
    except (MorphstreamError, OSError) as error:
        print(message_of(f"{_name(arguments)}: {_text(error)}"), file=sys.stderr)
        return 1
    except UsageError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _name(arguments: list[str] | None) -> str:
    """Return ``morphstream COMMAND``, as what it refused is prefixed."""
    words = sys.argv[1:] if arguments is None else arguments
    return " ".join(["morphstream", *words[:1]])


def _text(error: MorphstreamError | OSError) -> str:
    """Return an error's message, without the number that the system has for it."""
    own = error.strerror if isinstance(error, OSError) and error.filename is None else None
    return str(own or error)
