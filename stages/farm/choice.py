"""What a command of the farm is about: some models, for some targets."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from stages.params import Params, ParamsError


@dataclass(frozen=True, slots=True)
class Choice:
    """Models and targets, by name, in the order of params.yaml."""

    models: tuple[str, ...]
    targets: tuple[str, ...]


def choose(
    params: Params, *, groups: Collection[str] = (), models: Collection[str] = (), targets: Collection[str] = ()
) -> Choice:
    """Return the models that are named or in a group that is, and the targets; all, where none is named.

    Raises:
        ParamsError: There is no such group, model or target.
    """
    known = {model.group for model in params.models.values()}
    for group in groups:
        if group not in known:
            raise ParamsError("models", f"a model's group, one of {', '.join(sorted(known))}", group)
    chosen = {params.model(name).name for name in models}
    chosen |= {model.name for model in params.models.values() if model.group in groups}
    built = {params.build(name).target.name for name in targets}
    return Choice(
        models=tuple(name for name in params.models if name in (chosen or params.models)),
        targets=tuple(name for name in params.builds if name in (built or params.builds)),
    )


def engine_stages(choice: Choice) -> Iterator[tuple[str, str, str]]:
    """Yield each stage that makes an engine, its target and its model."""
    for target in choice.targets:
        for model in choice.models:
            yield f"compile@{target}-{model}", target, model
