"""Rebuild the engines of some models for some targets: first what they need, in the end the indexes of the targets."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from morphstream.artifact.errors import MorphstreamError
from stages.farm.choice import Choice, engine_stages
from stages.farm.pipeline import Pipeline, open_pipeline
from stages.farm.view import View
from stages.farm.workers import Ended, Workers
from stages.files import ENGINES
from stages.params import Params

_REFRESH_S = 1.0
_MEASURES = "tensorrt"  # a builder that times kernels has the arch's GPU to itself


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A stage to bring up to date.

    Attributes:
        stage: Its name.
        lane: What it has to itself while it runs.
        is_forced: It runs even if it is up to date.
        gathers: The folders that it makes an index of.
    """

    stage: str
    lane: str | None = None
    is_forced: bool = False
    gathers: tuple[Path, ...] = ()

    def is_partial(self) -> bool:
        """Whether it is an index and some engines are not here."""
        return not all(folder.exists() for folder in self.gathers)


def rebuild(params: Params, choice: Choice, *, is_forced: bool, jobs: int, stop: Event) -> Counter[str]:
    """Bring the chosen engines up to date, and index their targets.

    Where only some models of a target have engines here, its index is merged into the cache that is there, and not
    locked: the index that dvc.lock describes is made of every model's engine.

    Args:
        params: What params.yaml says.
        choice: The models and targets.
        is_forced: Engines that are up to date are built again too.
        jobs: How many programs may run at once.
        stop: Set from outside to have it stop what runs.

    Returns:
        How many stages were ``run``, ``restored from DVC's cache``, and ``up to date``.

    Raises:
        MorphstreamError: A stage refused or failed, and those that ran beside it have ended; or DVC refused.
        OSError: A program can't be started, or dvc.lock can't be written.
        KeyboardInterrupt: It was stopped.
    """
    counts: Counter[str] = Counter()
    failed: Ended | None = None
    with open_pipeline() as pipeline, Workers(jobs) as workers:
        steps = _steps(params, choice, pipeline, is_forced=is_forced)
        waiting = dict(steps)
        view = View(len(steps), sys.stdout)
        while waiting or workers.seconds():
            if stop.is_set():
                raise KeyboardInterrupt
            for stage, state in _begin(pipeline, workers, waiting):
                counts[state] += 1
                view.count(stage, None if state == "up to date" else state)
            view.show(workers.seconds())
            for ended in workers.ended(_REFRESH_S):
                if stop.is_set():  # an interrupt of a terminal ends them too
                    raise KeyboardInterrupt
                if ended.code:
                    failed = failed or ended
                    waiting.clear()  # what runs beside it ends, and nothing new begins
                    continue
                if not steps[ended.name].is_partial():
                    pipeline.keep(ended.name)
                counts["run"] += 1
                view.count(ended.name, f"{ended.seconds:.1f} s")
        view.clear()
    if failed:
        raise _refusal(failed)
    return counts


def _steps(params: Params, choice: Choice, pipeline: Pipeline, *, is_forced: bool) -> dict[str, _Step]:
    engines = {}
    for stage, name, _ in engine_stages(choice):
        target = params.build(name).target.target
        lane = target.arch if target.builder == _MEASURES else None
        engines[stage] = _Step(stage=stage, lane=lane, is_forced=is_forced)
    indexes = [
        _Step(stage=f"index@{target}", gathers=tuple(ENGINES / target / model for model in params.models))
        for target in choice.targets
    ]
    above = [engines.get(stage, _Step(stage=stage)) for stage in pipeline.with_upstream(engines)]
    return {step.stage: step for step in [*above, *indexes]}


def _begin(pipeline: Pipeline, workers: Workers, waiting: dict[str, _Step]) -> Iterator[tuple[str, str]]:
    """Take what can begin off those that wait: start it, or yield why it needn't run."""
    for stage, step in list(waiting.items()):
        if not workers.has_room(step.lane) or pipeline.needs(stage) & {*waiting, *workers.seconds()}:
            continue
        del waiting[stage]
        is_partial = step.is_partial()
        if not (step.is_forced or is_partial):
            if not pipeline.is_stale(stage):
                yield stage, "up to date"
                continue
            # An index replaces its cache in one step; DVC would remove the old one first.
            if not step.gathers and pipeline.restore(stage):
                pipeline.keep(stage)
                yield stage, "restored from DVC's cache"
                continue
        workers.start(stage, pipeline.command(stage) + (" --merge" if is_partial else ""), step.lane)


def _refusal(failed: Ended) -> MorphstreamError:
    """Return a stage's own refusal; of a bug, what it printed is printed first."""
    lines = failed.output.strip().splitlines()
    if failed.code == 1 and lines and "Traceback" not in failed.output:  # before it stands how long it ran
        return MorphstreamError(lines[-1])
    print(failed.output, end="", file=sys.stderr)
    return MorphstreamError(f"{failed.name}: expected its program to end with 0, seen {failed.code}; see above")
