"""publish [WHAT] [NAME...]: bring what build/ holds to the Hub, in one commit that keeps what others published.

WHAT is models, engines, archives, deploy, or all: the first three, and the fourth too where --code is given.
"""

import argparse
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from morphstream.artifact import vocabulary
from morphstream.artifact.staged import scratch_folder
from morphstream.cli.options import Parser
from morphstream.cli.output import paint_lines
from stages.hub.client import prepare_client
from stages.hub.repository import Repository
from stages.licences import private_models
from stages.params import Params, load_params
from stages.program import run_program
from stages.provenance.inputs import Inputs, inputs_of
from stages.publish.compose import Composer
from stages.publish.deployed import deployments, fetch_deployed
from stages.publish.local import WHAT, Local, local
from stages.publish.send import Sent, send
from stages.sign.publisher import Publisher
from stages.workspace import Workspace


def main(workspace: Workspace) -> Mapping[str, object]:
    """Publish, and print what was done; return it, too."""
    parser = _parser()
    options = parser.parse_args()
    options.tag = options.tag or os.environ.get("DEPLOY_TAGS", "").replace(",", " ").split() or ["develop"]
    params, build = load_params(workspace.params), workspace.build
    _check_usage(parser, options, params)
    publisher = None
    if params.signing and not options.history:
        publisher = replace(Publisher.of(workspace, params), is_first=options.first_signature)
    prepare_client()
    repository = Repository(params.hub.repo)
    if options.history:
        deployed = list(deployments(repository, options.tag))
        print("".join(f"{one.line()}\n" for one in deployed), end="")
        return {"deployments": [one.to_object() for one in deployed]}
    what = WHAT if options.what == "all" else (options.what,)
    found = local(workspace, params, what, options.names, options.group)
    if options.code is not None:
        from stages.publish.code import pack_code  # here, as the search for secrets is slow to load

        code = pack_code(options.code, options.tag, params.archive, build)
        found = replace(found, archives={**found.archives, **code})
    if options.back_to:
        found = Local(archives=fetch_deployed(repository, options.back_to, options.tag, build, publisher))
    dropped = frozenset(options.drop)
    sent = publish(
        *(build, params, found, repository, options.what),
        dropped=dropped,
        inputs=inputs_of(workspace),
        publisher=publisher,
        is_dry=options.dry_run,
        expected=options.plan,
    )
    _print(options, repository.name, sent)
    done = {"repository": repository.name, "commit": sent.commit, "is_dry_run": options.dry_run}
    return {**done, "plan": sent.plan.to_object()}


def _print(options: argparse.Namespace, name: str, sent: Sent) -> None:
    """Print what was done, or would be."""
    where, summary = f"{name}@{sent.commit}", sent.plan.summary()
    if options.dry_run:
        print(paint_lines(sent.plan.table(), {"add    ": "green", "delete ": "red"}, sys.stdout))
        there = where if sent.commit else f"{name}, which would be created, private"
        print(f"dry run: nothing was changed at {there}; to publish this and nothing else: --plan {sent.plan.identity}")
    else:
        print(f"{where} holds it all: {summary}" if sent.plan.is_empty else f"{where}: {summary}")


def publish(
    build: Path,
    params: Params,
    found: Local,
    repository: Repository,
    what: str,
    *,
    dropped: Collection[str] = (),
    inputs: Inputs | None = None,
    publisher: Publisher | None = None,
    is_dry: bool = False,
    expected: str = "",
) -> Sent:
    """Publish in one commit what was found in build/, which mirrors the repository.

    The commit's message names `what`. Entries and files of models that are `dropped` aren't kept. Documents on
    where it comes from are published, too, where its `inputs` are known. A `publisher` signs it. Where the identity of
    a plan is `expected`, another one is refused.
    """
    with scratch_folder(build / "publish") as folder:
        composer = Composer(
            build=build,
            folder=folder,
            params=params,
            local=found,
            repository=repository,
            inputs=inputs,
            publisher=publisher,
            dropped=dropped,
        )
        return send(
            repository,
            composer.compose,
            lambda plan: f"Publish {what}: {len(plan.added)} added, {len(plan.deleted)} deleted",
            is_dry=is_dry,
            private_models=private_models(params),
            expected=expected,
        )


def _parser() -> Parser:
    parser = Parser(prog="python -m stages.publish", description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=[*WHAT, "deploy", "all"], help="(%(default)s)")
    parser.add_argument("names", nargs="*", metavar="NAME", help="these models, cache keys or archives alone")
    parser.add_argument("--group", action="append", default=[], help="models and engines of these groups alone")
    parser.add_argument("--drop", action="append", default=[], metavar="MODEL", help="forget a published model")
    parser.add_argument("--dry-run", action="store_true", help="print what would be added, kept and deleted")
    parser.add_argument("--plan", default="", metavar="PLAN", help="only what a dry run showed, which named this")
    text = "sign what is published by now though nobody has, as where signing begins"
    parser.add_argument("--first-signature", action="store_true", help=text)
    parser.add_argument("--code", type=Path, metavar="DIR", help="the code to deploy")
    parser.add_argument(
        "--tag",
        action="append",
        choices=vocabulary.DEPLOY_TAGS,
        help="where to deploy it (DEPLOY_TAGS, else develop)",
    )
    parser.add_argument("--back-to", metavar="REVISION", help="deploy what the tags had at a commit, branch or tag")
    parser.add_argument("--history", action="store_true", help="list what the tags hold and held before")
    return parser


def _check_usage(parser: Parser, options: argparse.Namespace, params: Params) -> None:
    ways = [options.code is not None, bool(options.back_to), options.history]
    if options.what == "deploy" and sum(ways) != 1:
        parser.error("deploy needs one of --code DIR, --back-to REVISION and --history")
    if options.what != "deploy" and (options.back_to or options.history):
        parser.error(f"--back-to and --history go with deploy, not with {options.what}")
    if options.code is not None and options.what not in ("deploy", "all"):
        parser.error(f"--code goes with deploy or all, not with {options.what}")
    if options.names and options.what not in WHAT:
        parser.error(f"names go with {', '.join(WHAT)}, not with {options.what}")
    if options.group and options.what in ("archives", "deploy"):
        parser.error(f"--group goes with models, engines or all, not with {options.what}")
    groups = {vocabulary.SHARED, *(model.group for model in params.models.values())}
    if unknown := sorted(set(options.group) - groups):
        parser.error(f"--group: expected one of {', '.join(sorted(groups))}, seen {unknown[0]}")
    if named := sorted(set(options.drop) & set(params.models)):
        parser.error(f"--drop: params.yaml names {named[0]}; remove it there first")


if __name__ == "__main__":
    run_program(main, is_timed=not sys.stderr.isatty())  # there the client shows its uploads itself
