"""Build a target's engines in a clean folder, each in a process of its own, as many at once as there are cores."""

import os
import shlex
import sys
import time
from collections.abc import Collection
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.staged import left_parts, scratch_folder
from stages.compile import builder_of
from stages.exclusive import engine_folder, exclusive_gpu
from stages.farm.queue import run_queue, stop_event
from stages.farm.view import TextView
from stages.farm.workers import Workers
from stages.files import write_whole
from stages.index import index_engines
from stages.licences import licences_of
from stages.origin.named import origin_of
from stages.params import Params, TargetOptions
from stages.workspace import Workspace


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
        fetch_lacking(params, models, here, there)
        _build_all(options, models, there.root)
        engines = {name: engine_folder(there, options, name) for name in models}
        index_engines(options.target, engines, there.caches / key, licences=licences_of(params))
        there.caches.rename(into / there.caches.name)


def fetch_lacking(params: Params, names: Collection[str], here: Workspace, there: Workspace) -> None:
    """Fetch the models that one workspace lacks into another."""
    start, models, origin = time.monotonic(), [params.model(name) for name in names], origin_of(params)
    for package in here.downloads.glob("*.tar.gz"):
        write_whole(there.downloads / package.name, package.read_bytes())
    origin.fetch([model for model in models if not origin.holds(model, here.build / model.file)], there)
    report_line(f"models: {len(models)} fetched in {time.monotonic() - start:.1f} s")


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


def report_line(line: str) -> None:
    """Print a line on stderr."""
    print(line, file=sys.stderr, flush=True)
