"""``morphstream deploy``: switch to the code of a tag."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from morphstream.artifact.vocabulary import DEPLOY_TAGS
from morphstream.cli.options import Commands, UsageError, add_root, add_source, checked, number


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("deploy", help="switch to the code of a tag, once it is verified and its check passes")
    parser.add_argument("tag", choices=DEPLOY_TAGS, help="the TAG of deploy/TAG/app_code.tar.zst")
    add_source(parser)
    parser.add_argument(
        "--into", type=Path, required=True, help="folder of releases; its link current is the one in use"
    )
    parser.add_argument("--check", default="", metavar="COMMAND", help="must exit 0 in the new release (none)")
    parser.add_argument(
        "--timeout", type=checked(number(0.001, 86400)), default=60.0, help="seconds that it may take (%(default)s)"
    )
    add_root(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Deploy, and print what was done."""
    from morphstream.deploy.deploy import Check, deploy

    try:
        check = Check.parse(options.check, options.timeout)
    except ValueError as error:
        raise UsageError(str(error)) from None
    deployed = deploy(options.tag, options.into, options.source, check=check, root=options.root)
    print(json.dumps(asdict(deployed), indent=2, default=str) if options.json else deployed)
    return 0
