"""Find which stages are stale and why, in the order of dvc.yaml files: nothing is run and no file is changed.

DVC alone would name only `declare`, until that has run; here stages are compared with what it would write.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages import terminal
from stages.declare import declarations
from stages.farm.choice import Choice, choose, engine_stages
from stages.farm.pipeline import needed_first, open_repo
from stages.farm.why import IS_STALE, reasons
from stages.files import json_bytes
from stages.lock import read_locks
from stages.params import Params
from stages.workspace import Workspace

_MANY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A stage that `dvc repro` would run, or bring from its cache, and at least one reason why.

    Attributes:
        verb: What it does.
        target: The target that it is about, if one; likewise the model, and that model's group.
    """

    stage: str
    verb: str
    target: str | None
    model: str | None
    group: str | None
    why: tuple[str, ...]


def plan(workspace: Workspace, params: Params, choice: Choice | None) -> list[Stale]:
    """Return what is stale: of the whole pipeline, or of what a choice's rebuild looks at."""
    with open_repo(workspace) as repo:
        why = _reasons(repo, params, read_locks(workspace))
        order = [stage.name for stage in repo.index.stages]
        wanted = set(order) if choice is None else _looked_at(repo, params, choice)
    engines = engine_stages(params, choose(params))
    found = []
    for stage in order:
        if stage in wanted and why[stage]:
            verb, _, name = stage.partition("@")
            alone = (name if name in params.builds else None, name if name in params.models else None)
            target, model = engines.get(stage, alone)
            group = params.models[model].group if model else None
            found.append(Stale(stage=stage, verb=verb, target=target, model=model, group=group, why=why[stage]))
    return found


def table(stale: list[Stale]) -> str:
    """Return a row for each stage, or that there is none."""
    if not stale:
        return "everything is up to date"
    return terminal.table(["stage", "why"], [[one.stage, "; ".join(_shortened(one.why))] for one in stale])


def _shortened(why: tuple[str, ...]) -> list[str]:
    """Return reasons with only the first of the stages that are stale, where these are many."""
    above = [reason for reason in why if reason.endswith(IS_STALE)]
    if len(above) < _MANY:
        return list(why)
    rest = f"{above[0].removesuffix(IS_STALE)} and {len(above) - 1} more are stale"
    return [reason for reason in why if reason not in above] + [rest]


def _reasons(repo: Any, params: Params, locked: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the reasons of every stage, those first that others need."""
    here = Workspace(Path())  # DVC has paths from its own folder
    declared = {f"{here.declared / name}.json": json_bytes(document) for name, document in declarations(params)}
    makers: dict[str, str] = {}
    why: dict[str, tuple[str, ...]] = {}
    for stage in needed_first(repo.index.graph, repo.index.stages):
        name = stage.name
        why[name] = tuple(reasons(stage, declared, makers)) if name in locked else ("never built",)
        if why[name]:
            makers |= {out.def_path: name for out in stage.outs}
    return why


def _looked_at(repo: Any, params: Params, choice: Choice) -> set[str]:
    engines = engine_stages(params, choice)
    stages = [stage for stage in repo.index.stages if stage.name in engines]
    above = {stage.name for stage in needed_first(repo.index.graph, stages)}
    return above | {f"pack@{target}" for target in choice.targets}
