"""``morphstream boot``: put the engines for this machine into a store."""

import argparse
import re
from pathlib import Path

from morphstream.artifact.vocabulary import GROUP
from morphstream.boot.boot import boot
from morphstream.boot.build import Builder
from morphstream.boot.report import BootLog
from morphstream.boot.warm import warm
from morphstream.cli.options import Commands, UsageError, add_root, add_source, checked, log_lines, read_names
from morphstream.machine.select import check_target


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("boot", help="put the engines for this machine into a store")
    parser.add_argument(
        "--target",
        type=checked(_read_target),
        default="auto",
        help="auto, a name such as cpu, cpu-bf16 or rtx-sm89, or a cache key (%(default)s)",
    )
    add_source(parser)
    parser.add_argument("--verify", action="store_true", help="compute every digest of what the store holds")
    parser.add_argument("--offline", action="store_true", help="use sources on this machine only")
    parser.add_argument(
        "--update", action="store_true", help="look for newer engines even if the store has usable ones"
    )
    parser.add_argument(
        "--groups",
        type=checked(_read_groups),
        help="groups of models to install, such as core,masks,inswapper_128 (all)",
    )
    parser.add_argument(
        "--build",
        type=Path,
        metavar="FOLDER",
        help="folder of the pipeline, to build here the engines that no source has for this machine",
    )
    parser.add_argument(
        "--contribute", metavar="ORG/REPO", default="", help="publish the engines that --build built there"
    )
    add_root(parser)
    parser.add_argument(
        "--warm", action="store_true", help="open every engine once, so that workers find what is compiled at first use"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Boot, and print the report."""
    if options.contribute and not options.build:
        raise UsageError("--contribute: expected --build, whose engines are published, seen none")
    log_lines()
    options.so_far = (log := BootLog()).so_far
    report = boot(
        options.store,
        target=options.target,
        source=options.source,
        groups=options.groups,
        verify=options.verify,
        offline=options.offline,
        update=options.update,
        root=options.root,
        builder=Builder(options.build, options.contribute) if options.build else None,
        log=log,
    )
    if options.warm:
        report = warm(options.store, report)
    print(report.to_json() if options.json else report)
    return 0


def _read_groups(text: str) -> list[str] | None:
    names = read_names(text)
    if odd := [name for name in names if not re.fullmatch(GROUP.pattern, name)]:
        raise ValueError(f"expected {GROUP.words}, seen {odd[0]!r}")
    return names or None


def _read_target(text: str) -> str:
    check_target(text)
    return text
