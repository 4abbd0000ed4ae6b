"""Rebuild the engines of some models for some targets: first what they need, in the end the targets' caches."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from threading import Event

from stages.exclusive import engine_folder, exclusive_gpu
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

    Where only some models of a target have engines here, its index is merged into the cache that is there, and neither
    packed nor locked: the cache in dvc.lock has every model's. With `is_forced`, engines that are up to date are built
    again. Returns how many stages were ``run``, ``restored from DVC's cache``, and ``up to date``.

    Raises:
        KeyboardInterrupt: `stop` was set.
    """
    gpus = {stage: _gpu(params, target) for stage, (target, _) in engine_stages(params, choice).items()}
    merged = {f"pack@{target}": not _is_whole(workspace, params, choice, target) for target in choice.targets}
    options = _options(gpus, merged, jobs, is_forced=is_forced)
    forced = {stage for stage in (*gpus, *merged) if merged.get(stage, is_forced)}
    counts = Counter[str]()
    with open_pipeline(workspace) as pipeline, Workers(jobs, workspace.root) as workers:
        view = View(len(waiting := [*pipeline.with_upstream(gpus), *merged]), sys.stdout)

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


def _options(gpus: Iterable[str], merged: Mapping[str, bool], jobs: int, *, is_forced: bool) -> dict[str, str]:
    """Return what is said to stages' programs beside what dvc.yaml says: a model's engines are built on their share."""
    engines = list(gpus)
    option = f" --jobs {max(1, jobs // len(engines))}{' --force' * is_forced}"
    return dict.fromkeys(engines, option) | {stage: " --merge" * is_merged for stage, is_merged in merged.items()}


def _gpu(params: Params, target: str | None) -> str | None:
    return None if target is None else exclusive_gpu(params.build(target).target.target)


def _is_whole(workspace: Workspace, params: Params, choice: Choice, target: str) -> bool:
    """Return whether every model has an engine of a target, once the chosen ones are built."""
    options = params.build(target).target
    return all(name in choice.models or engine_folder(workspace, options, name).exists() for name in params.models)
