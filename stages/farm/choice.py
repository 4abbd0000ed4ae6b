"""What a command of the farm is about: some models' engines for some targets."""

from collections.abc import Collection
from dataclasses import dataclass

from morphstream.artifact.errors import MorphstreamError
from stages.exclusive import built_alone, engine_stage
from stages.params import Params


@dataclass(frozen=True, slots=True)
class Choice:
    """Engines, each as its target and its model, by name, in the order of params.yaml, and model by model."""

    engines: tuple[tuple[str, str], ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The models, in order."""
        return tuple(dict.fromkeys(model for _, model in self.engines))

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets, in the order of their first engines."""
        return tuple(dict.fromkeys(target for target, _ in self.engines))


def choose(
    params: Params,
    *,
    groups: Collection[str] = (),
    models: Collection[str] = (),
    targets: Collection[str] = (),
    engines: Collection[str] = (),
) -> Choice:
    """Return the engines of models that are named or in a group that is, for the targets, and single ones besides.

    Args:
        params: Of the workspace.
        groups: Names of groups; where neither these, models nor engines are named, all models are meant.
        models: Names of models.
        targets: Names of targets; all, where none is named.
        engines: Single ones, each as ``TARGET/MODEL``.
    """
    _check("group", groups, {model.group for model in params.models.values()})
    _check("model", models, params.models)
    _check("target", targets, params.builds)
    known = [(target, model) for model in params.models for target in params.builds]
    _check("engine", engines, [f"{target}/{model}" for target, model in known])
    chosen: Collection[str] = {*models, *(model.name for model in params.models.values() if model.group in groups)}
    if not chosen and not engines:
        chosen = params.models
    return Choice(
        tuple(
            (target, model)
            for target, model in known
            if f"{target}/{model}" in engines or (model in chosen and target in (targets or params.builds))
        )
    )


def _check(option: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            expected = f"expected one of {', '.join(sorted(known))}, as in params.yaml"
            raise MorphstreamError(f"--{option}: {expected}, seen {name!r}; name one of these")


def engine_stages(params: Params, choice: Choice) -> dict[str, tuple[str | None, str]]:
    """Return each stage that makes chosen engines, with its target, None where it makes a model's for several."""
    alone = built_alone(params)
    return {
        engine_stage(params, target, model): (target if target in alone else None, model)
        for target, model in choice.engines
    }
