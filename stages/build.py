"""build TARGET --into FOLDER: build a target's engines where there is no DVC and no Git, as `dvc repro` builds them.

A machine without published engines boots by it. It needs params.yaml and stages/ in the current folder, writes nothing
there (with ``python -B`` no bytecode either), and leaves FOLDER/trt_cache/CACHE_KEY, which appears whole. Every engine
is built in a process of its own, so that it has the bytes that the pipeline gives it, and as many at once as the farm
would. Models in build/ that are as pinned aren't downloaded again. Prepared models have no pins: they are prepared
anew. Parity is not measured; that is `check`.

Exits as stages.program does, and with 3 where the engines are built but the
repository refused them.
"""

import argparse
import re
import sys
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.regular_file import real_path
from morphstream.artifact.vocabulary import cache_path
from morphstream.cli.options import Parser
from stages.bounds import REPOSITORY
from stages.caches import read_cache
from stages.clean import build, report_line
from stages.compile import compile_model
from stages.exclusive import engine_folder
from stages.farm.choice import choose
from stages.params import Params, TargetOptions, load_params
from stages.prepare import prepare
from stages.program import run_program
from stages.workspace import Workspace

_NOT_UPLOADED = 3


def main(workspace: Workspace) -> None:
    """Build engines, and contribute them if asked to; or, in a process of its own, build one model's engine."""
    arguments = _arguments()
    params = load_params(workspace.params)
    options = target_of(params, arguments.target)
    if arguments.model is not None:
        _build_one(workspace, Workspace(arguments.into), params, options, arguments.model)
        return
    models = choose(params, groups=arguments.group).models
    build(workspace, params, options, models, real_path(arguments.into))
    if arguments.contribute is not None:
        _contribute(arguments.into, params, options, arguments.contribute)


def target_of(params: Params, text: str) -> TargetOptions:
    """Return a target of params.yaml by its name or its cache key; of several with that key, one that is built."""
    built = [build.target for build in params.builds.values()]
    for options in (*built, *params.targets.values()):
        if text in (options.name, str(options.target.cache_key)):
            return options
    known = ", ".join(f"{name} ({options.target.cache_key})" for name, options in sorted(params.targets.items()))
    raise MorphstreamError(f"target: expected one of params.yaml: {known}, seen {text!r}; name one of these")


def _build_one(here: Workspace, there: Workspace, params: Params, options: TargetOptions, name: str) -> None:
    """Prepare and compile a model that was fetched there, or else is here."""
    model = params.model(name)
    source, prepared = there.build / model.file, there.prepared / name
    prepare(model, source if source.is_file() else here.build / model.file, prepared)
    compile_model(options, prepared, engine_folder(there, options, name), there.timing)


def _contribute(folder: Path, params: Params, options: TargetOptions, repo: str) -> None:
    """Publish the cache in a folder beside what others published of it, or exit."""
    from stages.hub.client import prepare_client  # here, as the hub's client takes half a second
    from stages.hub.repository import Repository
    from stages.publish.__main__ import publish
    from stages.publish.local import Local

    prepare_client()
    key = str(options.target.cache_key)
    try:
        _add_kernels(folder / cache_path(key), options)
        found = Local({f"{cache_path(key)}/manifest.json": read_cache(folder / cache_path(key))})
        sent = publish(folder, params, found, Repository(repo), "engines")
    except (MorphstreamError, OSError) as error:
        report_line(f"contribute {key}: {' '.join(str(error).split())}")
        sys.exit(_NOT_UPLOADED)
    report_line(f"{repo}@{sent.commit}: {sent.plan.summary()}")


def _add_kernels(cache: Path, options: TargetOptions) -> None:
    """Add what TensorRT for RTX compiles for the engines of a cache, if this machine has a GPU that runs them."""
    if options.target.builder == "tensorrt_rtx":
        from morphstream.machine.probe import probe_machine  # here, as other targets need none of it
        from stages.parity.engine import why_not
        from stages.runtime_caches import add_runtime_caches

        machine = probe_machine()
        if reason := why_not(options, machine):
            report_line(f"kernels: none compiled, {reason}")
        else:
            report_line(f"kernels: compiled for {add_runtime_caches(cache, machine)} engines")


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m stages.build", description=__doc__)
    parser.add_argument("target", help="its name in params.yaml, or its cache key")
    parser.add_argument("--into", type=Path, metavar="FOLDER", required=True, help="a new or an empty folder")
    parser.add_argument("--model", help=argparse.SUPPRESS)  # prepare and compile this one, in a workspace of a build
    parser.add_argument("--group", action="append", default=[], help="engines of this group alone; repeatable")
    parser.add_argument("--contribute", metavar="REPO", help="upload them, with the token of the environment")
    arguments = parser.parse_args()
    if arguments.contribute is not None and not re.fullmatch(REPOSITORY.pattern, arguments.contribute):
        parser.error(f"--contribute: expected {REPOSITORY.words}, seen {arguments.contribute!r}")
    return arguments


if __name__ == "__main__":
    run_program(main, is_timed=False)
