"""What a command of the farm is about: some models, for some targets."""

from collections.abc import Collection
from dataclasses import dataclass

from morphstream.artifact.errors import MorphstreamError
from stages.exclusive import built_alone, engine_stage
from stages.params import Params


@dataclass(frozen=True, slots=True)
class Choice:
    """Models and targets, by name, in the order of params.yaml."""

    models: tuple[str, ...]
    targets: tuple[str, ...]


def choose(
    params: Params, *, groups: Collection[str] = (), models: Collection[str] = (), targets: Collection[str] = ()
) -> Choice:
    """Return the models that are named or in a group that is, and the targets; all, where none is named."""
    _check("group", groups, {model.group for model in params.models.values()})
    _check("model", models, params.models)
    _check("target", targets, params.builds)
    chosen = {*models, *(model.name for model in params.models.values() if model.group in groups)}
    return Choice(
        models=tuple(name for name in params.models if name in (chosen or params.models)),
        targets=tuple(name for name in params.builds if name in (targets or params.builds)),
    )


def _check(option: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            expected = f"expected one of {', '.join(sorted(known))}, as in params.yaml"
            raise MorphstreamError(f"--{option}: {expected}, seen {name!r}; name one of these")


def engine_stages(params: Params, choice: Choice) -> dict[str, tuple[str | None, str]]:
    """Return each stage that makes chosen engines, with its target, None where it makes a model's for several."""
    alone = built_alone(params)
    found: dict[str, tuple[str | None, str]] = {}
    for model in choice.models:
        for target in choice.targets:
            found[engine_stage(params, target, model)] = (target if target in alone else None, model)
    return found
