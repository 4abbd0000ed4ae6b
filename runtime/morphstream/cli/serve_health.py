"""``morphstream serve-health``: open a store's engines, and answer over HTTP whether they are ready."""

import argparse
import json
import os
from pathlib import Path

from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.cli.options import Commands, checked, whole_number
from morphstream.machine.limits import check_limits


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "serve-health", help="open a store's engines, and answer over HTTP whether they are ready"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on, or to ask (%(default)s)")
    parser.add_argument(
        "--port", type=checked(whole_number(0, 65535)), default=9300, help="0 for any that is free (%(default)s)"
    )
    parser.add_argument("--swap-model", default=SWAP_MODEL, help="such as hyperswap_1a_256 (%(default)s)")
    parser.add_argument("--probe", action="store_true", help="ask a running server instead; exit 0 if it is ready")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it, or ask the server that runs."""
    if options.probe:
        from morphstream.health.probe import probe

        probe(options.host, options.port)
        if options.json:
            print(json.dumps({"is_ready": True}))
        return 0
    check_limits()
    from morphstream.health.serve import serve

    def say(url: str, state: str) -> None:
        words = {"alive": f"alive; opening {options.store}", "ready": f"ready with {options.swap_model}"}
        print(json.dumps({"url": url, "state": state}) if options.json else f"{url}: {words[state]}", flush=True)

    report = os.environ.get("MORPHSTREAM_BOOT_REPORT")
    serve(
        options.store,
        swap_model=options.swap_model,
        host=options.host,
        port=options.port,
        boot_report=Path(report) if report else None,
        say=say,
    )
    return 0
