"""farm: rebuild some models' engines for some targets, side by side, or list what is stale and why."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from functools import partial

from morphstream.cli.options import Parser, checked, whole_number
from morphstream.source.progress import show_line
from stages.farm.choice import choose
from stages.farm.plan import plan, table
from stages.farm.queue import stop_event
from stages.farm.rebuild import rebuild
from stages.farm.view import JsonView, TextView
from stages.lists import check_lists
from stages.params import load_params
from stages.program import run_program
from stages.workspace import Workspace


def main(workspace: Workspace) -> None:
    """Run one of the farm's commands."""
    arguments = _arguments()
    params = load_params(workspace.params)
    check_lists(params, workspace)
    choice = choose(
        params,
        groups=arguments.group,
        models=arguments.model,
        targets=arguments.target,
        engines=arguments.engine,
    )
    if arguments.command == "plan":
        is_filtered = arguments.group or arguments.model or arguments.target or arguments.engine
        show_line("farm plan: looking at every stage")
        stale = plan(workspace, params, choice if is_filtered else None)
        show_line("")
        print(json.dumps([asdict(one) for one in stale], indent=2) if arguments.json else table(stale))
        return
    view = partial(JsonView, stream=sys.stdout) if arguments.json else partial(TextView, stream=sys.stderr)
    with stop_event() as stop:  # not an exception, which could fall anywhere in DVC's code
        counts = rebuild(workspace, params, choice, view, is_forced=arguments.force, jobs=arguments.jobs, stop=stop)
    if arguments.json:
        print(json.dumps({"event": "end", "counts": counts}))
    else:
        print(f"{counts.total()} stages: {', '.join(f'{count} {state}' for state, count in counts.items())}")


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m stages.farm", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    rebuilding = commands.add_parser("rebuild", help="bring engines up to date, and the caches of their targets")
    planning = commands.add_parser("plan", help="list what is stale, and why")
    for command in (rebuilding, planning):
        for option, what in (("group", "the models of a group"), ("model", "a model"), ("target", "a built target")):
            command.add_argument(f"--{option}", action="append", default=[], metavar="NAME", help=f"{what}; repeatable")
        text = "a model's engine for a target; repeatable"
        command.add_argument("--engine", action="append", default=[], metavar="TARGET/MODEL", help=text)
    planning.add_argument("--json", action="store_true", help="as a list of objects")
    rebuilding.add_argument("--json", action="store_true", help="what happens, as an object a line")
    rebuilding.add_argument("--all", action="store_true", help="every model")
    rebuilding.add_argument("--force", action="store_true", help="engines that are up to date too")
    rebuilding.add_argument(
        "--jobs", type=checked(whole_number(1, 1024)), default=os.cpu_count(), metavar="N", help="so many at once"
    )
    arguments = parser.parse_args()
    is_chosen = bool(arguments.group or arguments.model or arguments.engine)
    if arguments.command == "rebuild" and is_chosen == arguments.all:
        rebuilding.error("expected --group NAME, --model NAME or --engine TARGET/MODEL, or else --all")
    if arguments.target and arguments.engine and not (arguments.group or arguments.model):
        commands.choices[arguments.command].error(
            "--target goes with --group, --model or --all; --engine names its own"
        )
    return arguments


if __name__ == "__main__":
    run_program(main, is_timed=False, prints_json=True)
