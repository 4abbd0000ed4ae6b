"""``morphstream inspect``: say what pictures and videos say of how they were made, and where artifacts come from."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import message_of
from morphstream.artifact.regular_file import read_regular
from morphstream.cli.options import Commands, add_root
from morphstream.source.named import HUB, source_of
from morphstream.source.origin import SUFFIX, check_is_right, origins_of, publication_of
from morphstream.source.publication import Publication

if TYPE_CHECKING:
    from morphstream.media.inspect import Inspection

_MOST_BYTES = 1 << 22  # of certificates


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "read back the marks of a picture or video that say how it was made, or where an archive comes from"
    parser = commands.add_parser("inspect", help=text)
    text = "a picture or a video; or an archive, a folder of the published layout, or hub:ORG/REPO[@REV]"
    parser.add_argument("file", type=Path, help=text)
    text = "certificates of those who vouch for signers, in PEM (nobody)"
    parser.add_argument("--trust", type=Path, metavar="FILE", help=text)
    add_root(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print each mark that is found, and whether one says that the file is synthetic; or where artifacts come from."""
    path: Path = options.file
    if str(path).startswith(HUB) or path.is_dir() or path.name.endswith(SUFFIX):
        return _run_artifact(options)
    from morphstream.cli.pictures import hushed
    from morphstream.media.inspect import inspect

    anchors = read_regular(options.trust, _MOST_BYTES).decode("utf-8", "replace") if options.trust else None
    with hushed():
        found = inspect(path, anchors=anchors)
    if options.json:
        print(json.dumps({"file": str(options.file), **asdict(found), "is_synthetic": found.is_synthetic}, indent=2))
    else:
        print("\n".join(_lines(path, found)))
    return 0


def _run_artifact(options: argparse.Namespace) -> int:
    """Print where archives come from; return 1 where one contradicts what is said of it."""
    from morphstream.store.store import Store

    trust, path = Store(options.store).trust(options.root), options.file
    if str(path).startswith(HUB):
        publication, name = Publication(source_of(str(path)), trust=trust), None
    else:
        publication, name = publication_of(path, trust)
    origins = origins_of(publication, name, path if name else None)
    if options.json:
        print(json.dumps({"source": str(publication.source), "archives": [asdict(one) for one in origins]}, indent=2))
    else:
        print("\n".join(line for one in origins for line in one.lines()))
    check_is_right(origins)
    return 0


def _lines(path: Path, found: "Inspection") -> list[str]:
    """Return in lines what was found, the verdict first."""
    verdict = "says that it is synthetic" if found.is_synthetic else "has no mark that says that it is synthetic"
    width = max((len(mark.place) for mark in found.marks), default=0)
    marks = [f"  {mark.place:{width}}  {message_of(mark.text)}" for mark in found.marks]
    return [f"{path}: a {found.kind}, {verdict}", *marks, *(f"  {note}" for note in found.notes)]
