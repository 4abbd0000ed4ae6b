"""Rebuild the engines of some models for some targets: first what they need, in the end the indexes of the targets."""

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from stages.farm.choice import Choice, engine_stages, exclusive_gpu
from stages.farm.pipeline import Pipeline, open_pipeline
from stages.farm.queue import run_queue
from stages.farm.view import View
from stages.farm.workers import Ended, Workers
from stages.params import Params
from stages.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A stage to bring up to date.

    Attributes:
        stage: Its name.
        gpu: The GPU that it needs to itself while it runs.
        is_forced: It runs even if it is up to date.
        gathers: The folders that it makes an index of.
    """

    stage: str
    gpu: str | None = None
    is_forced: bool = False
    gathers: tuple[Path, ...] = ()

    def is_partial(self) -> bool:
        """Return whether it is an index and some engines are not here."""
        return not all(folder.exists() for folder in self.gathers)


def rebuild(
    workspace: Workspace, params: Params, choice: Choice, *, is_forced: bool, jobs: int, stop: Event
) -> Counter[str]:
    """Bring the chosen engines up to date, and index their targets.

    Where only some models of a target have engines here, its index is merged into the cache that is there, and not
    locked: the index that dvc.lock describes is made of every model's engine.

    Args:
        workspace: Where the pipeline is.
        params: What params.yaml says.
        choice: The models and targets.
        is_forced: Engines that are up to date are built again too.
        jobs: How many programs may run at once.
        stop: Set from outside to stop what runs.

    Returns:
        How many stages were ``run``, ``restored from DVC's cache``, and ``up to date``.

    Raises:
        KeyboardInterrupt: It was stopped.
    """
    counts = Counter[str]()
    with open_pipeline(workspace) as pipeline, Workers(jobs, workspace.root) as workers:
        steps = _steps(workspace, params, choice, pipeline, is_forced=is_forced)
        waiting, view = dict(steps), View(len(steps), sys.stdout)

        def succeed(ended: Ended) -> None:
            if not steps[ended.name].is_partial():
                pipeline.keep(ended.name)
            counts["run"] += 1

        run_queue(workers, view, stop, lambda: _start(pipeline, workers, waiting, counts, view), succeed)
    return counts


def _steps(
    workspace: Workspace, params: Params, choice: Choice, pipeline: Pipeline, *, is_forced: bool
) -> dict[str, _Step]:
    engines = {}
    for stage, name, _ in engine_stages(choice):
        gpu = exclusive_gpu(params.build(name).target.target)
        engines[stage] = _Step(stage=stage, gpu=gpu, is_forced=is_forced)
    indexes = [
        _Step(stage=f"index@{target}", gathers=tuple(workspace.engines / target / model for model in params.models))
        for target in choice.targets
    ]
    above = [engines.get(stage, _Step(stage=stage)) for stage in pipeline.with_upstream(engines)]
    return {step.stage: step for step in [*above, *indexes]}


def _start(pipeline: Pipeline, workers: Workers, waiting: dict[str, _Step], counts: Counter[str], view: View) -> bool:
    """Start the waiting steps that can be started, count those that needn't run, and return whether any still waits."""
    for stage, step in list(waiting.items()):
        if not workers.can_start(step.gpu) or pipeline.needs(stage) & {*waiting, *workers.seconds()}:
            continue
        del waiting[stage]
        is_partial = step.is_partial()
        if step.is_forced or is_partial:
            state = None
        elif not pipeline.is_stale(stage):
            state = "up to date"
        elif not step.gathers and pipeline.restore(stage):  # an index replaces its cache whole; DVC would remove it
            pipeline.keep(stage)
            state = "restored from DVC's cache"
        else:
            state = None
        if state is None:
            workers.start(stage, pipeline.command(stage) + (" --merge" if is_partial else ""), step.gpu)
        else:
            counts[state] += 1
            view.count(stage, None if state == "up to date" else state)
    return bool(waiting)
