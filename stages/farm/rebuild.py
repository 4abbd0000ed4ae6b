"""Rebuild the engines of some models for some targets: first what they need, in the end the targets' caches."""

import sys
from collections import Counter
from threading import Event

from stages.exclusive import exclusive_gpu
from stages.farm.choice import Choice, engine_stages
from stages.farm.pipeline import open_pipeline
from stages.farm.queue import run_queue
from stages.farm.view import View
from stages.farm.workers import Ended, Workers
from stages.params import Params
from stages.workspace import Workspace


def rebuild(
    workspace: Workspace, params: Params, choice: Choice, *, is_forced: bool, jobs: int, stop: Event
) -> Counter[str]:
    """Bring the chosen engines up to date, and index and pack their targets.

    A stage makes a model's engines for all targets that need no GPU; it keeps what is up to date. Where only some
    models of a target have engines here, its index is merged into the cache that is there, and neither packed nor
    locked: the cache that dvc.lock describes is made of every model's engine. With `is_forced`, engines that are up to
    date are built again too. Returns how many stages were ``run``, ``restored from DVC's cache``, and ``up to date``.

    Raises:
        KeyboardInterrupt: `stop` was set.
    """
    engines = engine_stages(params, choice)
    gpus = {
        stage: exclusive_gpu(params.build(target).target.target) if target else None
        for stage, (target, _) in engines.items()
    }
    merged = {f"pack@{target}": not _is_whole(workspace, params, choice, target) for target in choice.targets}
    options = {name: " --merge" for name, is_merged in merged.items() if is_merged}
    options |= dict.fromkeys(engines, f" --jobs {max(1, jobs // len(engines))}{' --force' * is_forced}")
    forced = {stage for stage in (*gpus, *merged) if merged.get(stage, is_forced)}
    counts = Counter[str]()
    with open_pipeline(workspace) as pipeline, Workers(jobs, workspace.root) as workers:
        waiting = [*pipeline.with_upstream(gpus), *merged]
        view = View(len(waiting), sys.stdout)

        def start() -> bool:
            for stage in list(waiting):
                gpu = gpus.get(stage)
                if not workers.can_start(gpu) or pipeline.needs(stage) & {*waiting, *workers.seconds()}:
                    continue
                waiting.remove(stage)
                if stage in forced or (state := pipeline.restore(stage, is_cached=stage not in merged)) is None:
                    workers.start(stage, pipeline.command(stage) + options.get(stage, ""), gpu)
                else:
                    counts[state] += 1
                    view.count(stage, None if state == "up to date" else state)
            return bool(waiting)

        def succeed(ended: Ended) -> None:
            if not merged.get(ended.name):
                pipeline.keep(ended.name)
            counts["run"] += 1

        run_queue(workers, view, stop, start, succeed)
    return counts


def _is_whole(workspace: Workspace, params: Params, choice: Choice, target: str) -> bool:
    """Return whether every model has an engine of a target, once the chosen ones are built."""
    engines = workspace.engines / target
    return all(model in choice.models or (engines / model).exists() for model in params.models)
