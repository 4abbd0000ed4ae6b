"""``morphstream doctor``: say what this machine and its store can do."""

import argparse
import sys
from collections.abc import Mapping

from morphstream.cli.options import Commands
from morphstream.cli.output import Style, paint_lines
from morphstream.store.store import Store

_STYLES: Mapping[str, Style] = {
    "usable     yes": "green",
    "usable     no": "red",
    "note ": "yellow",
}


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("doctor", help="say what this machine and its store can do, and what is missing")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the diagnosis; return 0 where faces can be swapped here and now, else 1."""
    from morphstream.boot.doctor import diagnose
    from morphstream.machine.gpus import read_gpus
    from morphstream.machine.limits import find_shortages
    from morphstream.machine.probe import probe_machine

    diagnosis = diagnose(Store(options.store), probe_machine(), read_gpus(), shortages=find_shortages())
    print(diagnosis.to_json() if options.json else paint_lines(str(diagnosis), _STYLES, sys.stdout))
    return 0 if diagnosis.is_usable else 1
