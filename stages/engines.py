"""engines MODEL: prepare a model, build its engines for all targets that need no GPU, and check them with the original.

`engines MODEL TARGET` builds and checks the engine of one target that needs its own GPU. What is there, or DVC's cache
has of the run before, whole and made of the same, is kept: after a change of one target its engines alone are built.
"""

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import MorphstreamError
from morphstream.cli.options import Parser, checked, whole_number
from morphstream.machine.probe import probe_machine
from stages.compile import compile_model
from stages.declare import check_declared
from stages.exclusive import built_alone, built_together, engine_folder, seconds_file
from stages.files import write_json
from stages.forks import Forks
from stages.lock import read_lock
from stages.made import is_made_of, record_made_of, recorded_files, take_from_cache
from stages.params import Model, Params, TargetOptions, load_params
from stages.prepare import prepare
from stages.program import run_program
from stages.workspace import Workspace

IsKept = Callable[[Path, Mapping[str, object]], bool]  # whether a folder is, as it was made of certain things


def main(workspace: Workspace) -> None:
    """Make one model's engines."""
    parser = Parser(prog="python -m stages.engines", description=__doc__)
    parser.add_argument("model", help="its name in params.yaml")
    parser.add_argument("target", nargs="?", help="a target that needs its own GPU (all that don't)")
    parser.add_argument("--force", action="store_true", help="make what is there already again")
    parser.add_argument(
        "--force-target", action="append", default=[], metavar="NAME", help="this target's engine alone; repeatable"
    )
    parser.add_argument(
        "--jobs",
        type=checked(whole_number(1, 1024)),
        default=(os.cpu_count() or 1) + 1,  # so that no core waits for the last
        metavar="N",
        help="so many engines at once (%(default)s)",
    )
    arguments = parser.parse_args()
    params = load_params(workspace.params)
    model, verdict = params.model(arguments.model), workspace.checked / f"{arguments.model}.json"
    if arguments.target is None:
        targets, stage = built_together(params), f"engines/{model.name}"
    else:
        targets, stage = _alone(params, arguments.target), f"gpu_engine/{arguments.target}-{model.name}"
        verdict = workspace.checked / arguments.target / verdict.name
    declared = check_declared(workspace, stage, params)
    if unknown := [name for name in arguments.force_target if name not in targets]:
        parser.error(f"--force-target: expected one of {', '.join(targets)}, seen {unknown[0]!r}")
    is_kept = _is_kept(workspace, stage, targets if arguments.force else arguments.force_target)
    prepare_once(workspace, model, declared["prepare"], is_forced=arguments.force)
    with Forks(arguments.jobs) as forks:
        start_engines(workspace, model, targets, declared["targets"], is_kept, forks)
        from stages.check import check_model, reason_not_executed  # here, while engines are being built

        machine = probe_machine()
        forks.wait([name for name, options in targets.items() if not reason_not_executed(options, machine)])
        check_model(workspace, model, targets, verdict)  # while the engines of other machines are being built
        forks.wait()


def _is_kept(workspace: Workspace, stage: str, forced: Collection[str]) -> IsKept:
    """Return what says of a target's folder whether it is kept, as it was made of certain things in the run before."""
    locked = read_lock(workspace.root / "pipeline/engines/dvc.lock").get(stage.replace("/", "@"), {})
    return lambda folder, made_of: folder.name not in forced and take_from_cache(workspace, locked, folder, made_of)


def _alone(params: Params, name: str) -> dict[str, TargetOptions]:
    alone = built_alone(params)
    if name not in alone:
        expected = f"expected a target that needs its own GPU, one of {', '.join(alone) or 'none'}"
        raise MorphstreamError(f"target: {expected}, seen {name!r}; name it, or none")
    return {name: alone[name]}


def prepare_once(workspace: Workspace, model: Model, declared: Mapping[str, Any], *, is_forced: bool) -> None:
    """Prepare a model, unless what was prepared of the same file in the same way is there, and not forced."""
    source, folder = workspace.build / model.file, workspace.prepared / model.name
    made_of = {"file": str(digest_of_file(source)), **declared}
    if is_forced or not is_made_of(folder, made_of):
        print(f"prepare {model.name}", flush=True)
        prepare(model, source, folder)
        record_made_of(folder, made_of)


def start_engines(
    workspace: Workspace,
    model: Model,
    targets: Mapping[str, TargetOptions],
    declared: Mapping[str, Any],
    is_kept: IsKept,
    forks: Forks,
) -> None:
    """Start to build a model's engines, but for those of the same prepared model and target that are kept.

    Engines of TensorRT for RTX share a process for each core, where a second one takes two thirds of the time and gets
    the same bytes; one of OpenVINO would get others there.
    """
    alone, shared = dict[str, Callable[[], None]](), dict[str, Callable[[], None]]()
    prepared = recorded_files(workspace.prepared / model.name)  # `prepare_once` has compared or written them
    for name, options in targets.items():
        folder, made_of = engine_folder(workspace, options, model.name), {"prepared": prepared, **declared[name]}
        if not is_kept(folder, made_of):
            print(f"compile {name} {model.name}", flush=True)
            calls = alone if options.target.builder == "openvino" else shared
            calls[name] = partial(_compile, workspace, model, options, made_of)
    processes = min(forks.at_once, os.cpu_count() or 1)
    for names in [*([name] for name in alone), *(list(shared)[start::processes] for start in range(processes))]:
        if names:
            forks.start(", ".join(names), partial(_in_turn, [(alone | shared)[name] for name in names]))


def _in_turn(calls: Iterable[Callable[[], None]]) -> None:
    for call in calls:
        call()


def _compile(workspace: Workspace, model: Model, options: TargetOptions, made_of: Mapping[str, object]) -> None:
    folder, start = engine_folder(workspace, options, model.name), time.monotonic()
    compile_model(options, workspace.prepared / model.name, folder, workspace.timing)
    record_made_of(folder, made_of)
    write_json(seconds_file(workspace, options.name, model.name), {"seconds": round(time.monotonic() - start, 3)})


if __name__ == "__main__":
    run_program(main, runs_models=True)
