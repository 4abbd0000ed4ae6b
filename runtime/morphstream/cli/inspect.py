"""``morphstream inspect``: say what pictures and videos say of how they were made."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import message_of
from morphstream.artifact.regular_file import read_regular
from morphstream.cli.options import Commands

if TYPE_CHECKING:
    from morphstream.media.inspect import Inspection

_MOST_BYTES = 1 << 22  # of certificates


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "read back the marks of a picture or video that say how it was made"
    parser = commands.add_parser("inspect", help=text)
    parser.add_argument("file", type=Path, help="a picture or a video")
    text = "certificates of those who vouch for signers, in PEM (nobody)"
    parser.add_argument("--trust", type=Path, metavar="FILE", help=text)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print each mark that is found, and whether one says that the file is synthetic."""
    from morphstream.cli.pictures import hushed
    from morphstream.media.inspect import inspect

    anchors = read_regular(options.trust, _MOST_BYTES).decode("utf-8", "replace") if options.trust else None
    with hushed():
        found = inspect(options.file, anchors=anchors)
    if options.json:
        print(json.dumps({"file": str(options.file), **asdict(found), "is_synthetic": found.is_synthetic}, indent=2))
    else:
        print("\n".join(_lines(options.file, found)))
    return 0


def _lines(path: Path, found: "Inspection") -> list[str]:
    """Return in lines what was found, the verdict first."""
    verdict = "says that it is synthetic" if found.is_synthetic else "has no mark that says that it is synthetic"
    width = max((len(mark.place) for mark in found.marks), default=0)
    marks = [f"  {mark.place:{width}}  {message_of(mark.text)}" for mark in found.marks]
    return [f"{path}: a {found.kind}, {verdict}", *marks, *(f"  {note}" for note in found.notes)]
