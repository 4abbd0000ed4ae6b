"""Rebuild the engines of some models for some targets: first what they need, in the end the targets' caches."""

from collections import Counter
from collections.abc import Callable, Mapping
from threading import Event

from stages.exclusive import built_together, engine_folder, exclusive_gpu
from stages.farm.choice import Choice, engine_stages
from stages.farm.pipeline import open_pipeline
from stages.farm.queue import run_queue
from stages.farm.view import RUN, View
from stages.farm.workers import Ended, Workers
from stages.params import Params
from stages.workspace import Workspace

ViewOf = Callable[[int], View]  # of so many stages


def rebuild(
    workspace: Workspace, params: Params, choice: Choice, view_of: ViewOf, *, is_forced: bool, jobs: int, stop: Event
) -> Counter[str]:
    """Bring the chosen engines up to date, and index and pack their targets.

    Where only some models of a target have engines here, its index is merged into the cache that is there, and neither
    packed nor locked: the cache in dvc.lock has every model's. With `is_forced`, chosen engines that are up to date are
    built again. Returns how many stages were ``run``, ``restored from DVC's cache``, and ``up to date``; `stop` ends it
    with a KeyboardInterrupt.
    """
    gpus = {stage: _gpu(params, target) for stage, (target, _) in engine_stages(params, choice).items()}
    merged = {f"pack@{target}": not _is_whole(workspace, params, choice, target) for target in choice.targets}
    options = _options(params, choice, merged, jobs, is_forced=is_forced)
    forced = {stage for stage in (*gpus, *merged) if merged.get(stage, is_forced)}
    counts = Counter[str]()
    with open_pipeline(workspace) as pipeline, Workers(jobs, workspace.root) as workers:
        view = view_of(len(waiting := [*pipeline.with_upstream(gpus), *merged]))

        def start() -> bool:
            for stage in list(waiting):
                gpu = gpus.get(stage)
                if not workers.can_start(gpu) or pipeline.needs(stage) & {*waiting, *workers.seconds()}:
                    continue
                waiting.remove(stage)
                if stage in forced or (state := pipeline.restore(stage, is_cached=stage not in merged)) is None:
                    workers.start(stage, pipeline.command(stage) + options.get(stage, ""), gpu)
                    view.start(stage)
                else:
                    counts[state] += 1
                    view.end(stage, state)
            return bool(waiting)

        def succeed(ended: Ended) -> None:
            if not merged.get(ended.name):
                pipeline.keep(ended.name)
            counts[RUN] += 1

        run_queue(workers, view, stop, start, succeed)
    return counts


def _options(
    params: Params, choice: Choice, merged: Mapping[str, bool], jobs: int, *, is_forced: bool
) -> dict[str, str]:
    """Return what is said to stages' programs beside what dvc.yaml says: a model's engines are built on their share."""
    options = {stage: " --merge" * is_merged for stage, is_merged in merged.items()}
    stages, together = engine_stages(params, choice), built_together(params)
    for stage, (alone, model) in stages.items():
        chosen = [target for target, of in choice.engines if of == model and target in together]
        is_whole = alone is not None or len(chosen) == len(together)
        forced = " --force" if is_whole else "".join(f" --force-target {target}" for target in chosen)
        options[stage] = f" --jobs {max(1, jobs // len(stages))}{forced * is_forced}"
    return options


def _gpu(params: Params, target: str | None) -> str | None:
    return None if target is None else exclusive_gpu(params.build(target).target.target)


def _is_whole(workspace: Workspace, params: Params, choice: Choice, target: str) -> bool:
    """Return whether every model has an engine of a target, once the chosen ones are built."""
    options = params.build(target).target
    return all(
        (target, name) in choice.engines or engine_folder(workspace, options, name).exists() for name in params.models
    )
