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
import os
import re
import shlex
import sys
import time
from collections.abc import Collection
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.regular_file import real_path
from morphstream.artifact.staged import left_parts, scratch_folder
from morphstream.artifact.vocabulary import cache_path
from morphstream.cli.options import Parser
from stages.bounds import REPOSITORY
from stages.caches import read_cache
from stages.compile import builder_of, compile_model
from stages.exclusive import engine_folder, exclusive_gpu
from stages.farm.choice import choose
from stages.farm.queue import run_queue, stop_event
from stages.farm.view import TextView
from stages.farm.workers import Workers
from stages.files import write_whole
from stages.index import index_engines
from stages.licences import licences_of
from stages.origin.named import origin_of
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


def build(here: Workspace, params: Params, options: TargetOptions, models: Collection[str], into: Path) -> None:
    """Build a target's engines of some models into a new or an empty folder, absolute; `here` isn't written to."""
    builder_of(options)  # refuses another toolchain before anything is fetched
    into.mkdir(parents=True, exist_ok=True)
    left = left_parts(into / "build")  # of a build that was killed
    if found := next((path for path in into.iterdir() if path not in left), None):
        raise MorphstreamError(f"{into}: expected a new or an empty folder, seen {found.name} there; name another")
    key = str(options.target.cache_key)
    with scratch_folder(into / "build") as folder:
        there = Workspace(folder)
        _fetch(params, models, here, there)
        _build_all(options, models, there.root)
        engines = {name: engine_folder(there, options, name) for name in models}
        index_engines(options.target, engines, there.caches / key, licences=licences_of(params))
        there.caches.rename(into / there.caches.name)


def _fetch(params: Params, names: Collection[str], here: Workspace, there: Workspace) -> None:
    """Fetch the models that one workspace lacks into another."""
    start, models, origin = time.monotonic(), [params.model(name) for name in names], origin_of(params)
    for package in here.downloads.glob("*.tar.gz"):
        write_whole(there.downloads / package.name, package.read_bytes())
    origin.fetch([model for model in models if not origin.holds(model, here.build / model.file)], there)
    _report(f"models: {len(models)} fetched in {time.monotonic() - start:.1f} s")


def _build_all(options: TargetOptions, models: Collection[str], folder: Path) -> None:
    """Prepare and compile models side by side, and print how long each takes."""
    gpu, waiting, view = exclusive_gpu(options.target), list(models), TextView(len(models), sys.stderr)
    program = [sys.executable, "-B", "-m", "stages.build", options.name, "--into", str(folder), "--model"]
    with stop_event() as stop, Workers(os.cpu_count() or 1) as workers:

        def start() -> bool:
            while waiting and workers.can_start(gpu):
                workers.start(waiting[0], shlex.join([*program, waiting.pop(0)]), gpu)
            return bool(waiting)

        run_queue(workers, view, stop, start, lambda _: None)


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
        _report(f"contribute {key}: {' '.join(str(error).split())}")
        sys.exit(_NOT_UPLOADED)
    _report(f"{repo}@{sent.commit}: {sent.plan.summary()}")


def _add_kernels(cache: Path, options: TargetOptions) -> None:
    """Add what TensorRT for RTX compiles for the engines of a cache, if this machine has a GPU that runs them."""
    if options.target.builder == "tensorrt_rtx":
        from morphstream.machine.probe import probe_machine  # here, as other targets need none of it
        from stages.parity.engine import why_not
        from stages.runtime_caches import add_runtime_caches

        machine = probe_machine()
        if reason := why_not(options, machine):
            _report(f"kernels: none compiled, {reason}")
        else:
            _report(f"kernels: compiled for {add_runtime_caches(cache, machine)} engines")


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
