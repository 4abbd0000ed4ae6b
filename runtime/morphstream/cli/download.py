"""``morphstream download``: add models to a store."""

import argparse
import json
from dataclasses import asdict

from morphstream.cli.options import Commands, add_source, checked, read_bytes


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("download", help="add the engines of models to a store")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="such as hyperswap_1a_256")
    add_source(parser)
    parser.add_argument(
        "--budget",
        type=checked(read_bytes),
        help="limit of all engines in the store, such as 2GiB; swap models used least recently are evicted (none)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Download the models one after the other, and print a line for each."""
    from morphstream.boot.service import ModelDownloadService

    added = list[dict[str, object]]()
    options.so_far = lambda: {"models": added}
    with ModelDownloadService(options.store, options.source, budget_bytes=options.budget) as service:
        for download in [service.request(model) for model in options.models]:
            done = download.result()
            added.append(asdict(done))
            if not options.json:
                print(done)
    if options.json:
        print(json.dumps({"models": added}, indent=2))
    return 0
