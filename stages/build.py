"""build TARGET --into FOLDER: build a target's engines where there is no DVC and no Git, as `dvc repro` builds them.

A machine boots by it for which nothing is published. It needs params.yaml and stages/ in the current folder, writes
nothing there (with ``python -B`` no bytecode either), and leaves FOLDER/trt_cache/CACHE_KEY, which appears whole. Each
engine is built in a process of its own, so that it has the bytes that the pipeline gives it, and as many at once as the
farm would. Models in build/ that are as pinned aren't downloaded again. Nothing pins prepared models: they are prepared
anew. Parity is not measured; that is `check`.

Exits as stages.program says, with 130 when interrupted or told to end, and with 3 where the engines are built but the
repository did not take them.
"""

import argparse
import os
import re
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from threading import Event

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.manifest import EngineManifest
from stages.compile import builder_of, compile_model
from stages.farm.choice import choose
from stages.farm.view import View
from stages.farm.workers import Ended, Workers
from stages.fetch import fetch_from_hub, fetch_from_kit
from stages.files import BUILD, CACHES, ENGINES, PREPARED
from stages.index import index_engines
from stages.params import PARAMS, Build, Params, TargetOptions, load_params
from stages.prepare import prepare
from stages.program import run_program

_REFRESH_S = 0.2
_MEASURES = "tensorrt"  # a builder that times kernels has the arch's GPU to itself
_NOT_UPLOADED, _INTERRUPTED = 3, 130


def main() -> None:
    """Build engines, and contribute them where that is asked for; or build one model's, as the process of it.

    Raises:
        MorphstreamError: There is no such target or group, the folder isn't empty, the machine has another toolchain,
            or a model can't be fetched, prepared or compiled.
        OSError: A file can't be read or written.
    """
    arguments = _arguments()
    params = load_params()
    options = target_of(params, arguments.target)
    if arguments.model is not None:
        model = params.model(arguments.model)
        prepare(model, BUILD / model.file, PREPARED / model.name)
        compile_model(options, PREPARED / model.name, ENGINES / options.name / model.name)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        models = choose(params, groups=arguments.group).models
        build(params, options, models, arguments.into.resolve(), arguments.contribute)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)  # what ran has been stopped


def target_of(params: Params, text: str) -> TargetOptions:
    """Return a target of params.yaml by its name or its cache key; of several with that key, one that is built.

    Raises:
        MorphstreamError: There is none.
    """
    built = [build.target for build in params.builds.values()]
    for options in (*built, *params.targets.values()):
        if text in (options.name, str(options.target.cache_key)):
            return options
    known = ", ".join(f"{name} ({options.target.cache_key})" for name, options in sorted(params.targets.items()))
    raise MorphstreamError(f"target: expected one of params.yaml: {known}, seen {text!r}; name one of these")


def build(params: Params, options: TargetOptions, models: Collection[str], into: Path, repo: str | None) -> None:
    """Build a target's engines of some models into a folder, and publish them in a repository, if any.

    Raises:
        MorphstreamError: The folder isn't empty, the machine has another toolchain, or a model can't be fetched,
            prepared or compiled.
        OSError: A file can't be read or written.
        SystemExit: They are built, and the repository refused them.
        KeyboardInterrupt: It was stopped.
    """
    builder_of(options)  # refuses another toolchain before anything is fetched
    into.mkdir(parents=True, exist_ok=True)
    if held := next(into.iterdir(), None):
        raise MorphstreamError(f"{into}: expected a new or an empty folder, seen {held.name} there; name another")
    key = str(options.target.cache_key)
    with tempfile.TemporaryDirectory(dir=into, prefix=".build.") as folder:
        _furnish(Path(folder), [BUILD / params.model(name).file for name in models])
        with chdir(folder):
            _fetch(params, models)
            _compile(options, models)
            target = Build(target=options, cache_key=key, archive="")
            index_engines(target, list(models), ENGINES / options.name, CACHES / key)
            CACHES.rename(into / CACHES.name)
            if repo is not None:
                CACHES.symlink_to(into / CACHES.name)
                _contribute(params, key, repo)


def _furnish(folder: Path, files: Sequence[Path]) -> None:
    """Make a folder in which stages run, with links to what is here; whoever reads that verifies it."""
    (folder / "stages").symlink_to(Path("stages").resolve())
    (folder / PARAMS).write_bytes(PARAMS.read_bytes())
    (folder / BUILD).mkdir()
    for path in filter(Path.is_file, [*files, *Path(".cache").glob("*.tar.gz")]):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(path.resolve())


def _fetch(params: Params, names: Collection[str]) -> None:
    start, models = time.monotonic(), [params.model(name) for name in names]
    if params.origin == "hub":
        fetch_from_hub(models, params.hub)
    else:
        for model in models:
            fetch_from_kit(model)
    _say(f"models: {len(models)} fetched in {time.monotonic() - start:.1f} s")


def _compile(options: TargetOptions, models: Collection[str]) -> None:
    """Prepare and compile models side by side, and say of each how long that took."""
    lane = options.target.arch if options.target.builder == _MEASURES else None
    waiting, view = list(models), View(len(models), sys.stderr)
    program = [sys.executable, "-B", "-m", "stages.build", options.name, "--model"]
    with _noted() as stop, Workers(os.cpu_count() or 1) as workers:
        while waiting or workers.seconds():
            while waiting and workers.has_room(lane):
                workers.start(waiting[0], shlex.join([*program, waiting.pop(0)]), lane)
            view.show(workers.seconds())
            ended = workers.ended(_REFRESH_S)
            if stop.is_set():  # an interrupt of a terminal ends the programs too
                view.clear()
                raise KeyboardInterrupt
            for one in ended:
                if one.code:
                    view.clear()
                    raise _refusal(one)
                view.count(one.name, f"{one.seconds:.1f} s")
    view.clear()


@contextmanager
def _noted() -> Iterator[Event]:
    """Have interrupts set an event: Python drops an exception that falls into what it does after a fork."""
    stop, numbers = Event(), (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def _refusal(failed: Ended) -> MorphstreamError:
    """Return a model's refusal; of a bug, what it printed is printed first."""
    lines = failed.output.strip().splitlines()
    if failed.code == 1 and lines and "Traceback" not in failed.output:  # before it stands how long it ran
        return MorphstreamError(lines[-1])
    print(failed.output, end="", file=sys.stderr)
    return MorphstreamError(f"{failed.name}: expected its program to end with 0, seen {failed.code}; see above")


def _contribute(params: Params, key: str, repo: str) -> None:
    """Publish a cache that lies in build/ beside what others published of it.

    Raises:
        SystemExit: It could not be.
    """
    from stages.hub.client import prepare_client  # here, as the hub's client takes half a second
    from stages.hub.repository import Repository
    from stages.publish.__main__ import publish
    from stages.publish.local import Local

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # an exception would wait for the upload's threads
    prepare_client()
    try:
        manifest = EngineManifest.from_json((CACHES / key / "manifest.json").read_bytes())
        sent = publish(params, Local(caches={key: manifest}), Repository(repo), "engines")
    except (MorphstreamError, OSError) as error:
        _say(f"contribute {key}: {' '.join(str(error).split())}")
        sys.exit(_NOT_UPLOADED)
    _say(f"{repo}@{sent.commit}: {sent.plan.summary()}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stages.build", description=__doc__)
    parser.add_argument("target", help="its name in params.yaml, or its cache key")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--into", type=Path, metavar="FOLDER", help="a new or an empty folder")
    where.add_argument("--model", help=argparse.SUPPRESS)  # in a folder of this program's: prepare and compile one
    parser.add_argument("--group", action="append", default=[], help="engines of this group alone; repeatable")
    parser.add_argument("--contribute", metavar="REPO", help="upload them, with the token of the environment")
    arguments = parser.parse_args()
    if arguments.contribute is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", arguments.contribute):
        parser.error(f"--contribute: expected organisation/name, seen {arguments.contribute!r}")
    return arguments


if __name__ == "__main__":
    run_program(main, is_timed=False)
