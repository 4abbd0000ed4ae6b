"""What a command of the farm is about: some models, for some targets."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.target import Target
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


def exclusive_gpu(target: Target) -> str | None:
    """Return the arch of the GPU that a target's builder needs to itself, as it times kernels; None if it doesn't."""
    return target.arch if target.builder == "tensorrt" else None


def engine_stages(choice: Choice) -> Iterator[tuple[str, str, str]]:
    """Yield each stage that makes an engine, its target and its model."""
    for target in choice.targets:
        for model in choice.models:
            yield f"compile@{target}-{model}", target, model
