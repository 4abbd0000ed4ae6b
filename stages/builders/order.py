"""What a builder is to build, and the recipe of the engine."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from morphstream.artifact.recipe import Recipe
from stages.builders import Builder, Order, Shapes, Sizes, Tensor
from stages.params import TargetOptions
from stages.source import builder_source
from stages.surgery.read import digest_of_model


def order_of(
    builder: Builder, options: TargetOptions, prepared: Path, folder: Path, shared: Path
) -> tuple[Order, Recipe]:
    """Return the order of an engine of a prepared model, and the engine's recipe.

    Args:
        builder: The target's.
        options: The target.
        prepared: The folder of the prepared model.
        folder: Where the engine is written.
        shared: As in `Order`.
    """
    contract = json.loads((prepared / "contract.json").read_text("utf-8"))
    precision = options.target.precision or ("fp32" if builder.HALF == "never" else contract["precision"])
    model = prepared / f"{precision if builder.HALF == 'file' else 'fp32'}.onnx"
    sizes = tuple({name: tuple(shape) for name, shape in size.items()} for size in contract.get("sizes", ()))
    shapes = shapes_of(contract["inputs"], contract["batches"], sizes)
    recipe = Recipe(
        model=digest_of_model(model),
        target=options.target,
        options={**builder.OPTIONS, "archs": " ".join(options.archs), "precision": precision},
        shapes=shapes,
        builder_source=builder_source(options.target),
    )
    order = Order(
        model=model,
        archs=options.archs,
        precision=precision,
        inputs=_tensors(contract["inputs"]),
        outputs=_tensors(contract["outputs"]),
        shapes=shapes,
        stem=f"{recipe.prefix}_{contract['model']}",
        folder=folder,
        shared=shared,
        sizes=sizes,
    )
    return order, recipe


def shapes_of(inputs: Mapping[str, Mapping[str, Sequence[int]]], batches: Sequence[int], sizes: Sizes = ()) -> Shapes:
    """Return the shape of each input of a contract.json, in which -1 is a dynamic batch, at each of some batches.

    Where it is for several sizes, the first is that of all batches, and one row at each of the others follows.
    """
    if sizes:
        return {
            name: (*((size, *sizes[0][name]) for size in batches), *((1, *o[name]) for o in sizes[1:]))
            for name in inputs
        }
    return {
        name: tuple(tuple(size if dim == -1 else dim for dim in value["shape"]) for size in batches)
        for name, value in inputs.items()
    }


def _tensors(values: Mapping[str, Mapping[str, Any]]) -> tuple[Tensor, ...]:
    return tuple(Tensor(name=name, dtype=value["dtype"], shape=tuple(value["shape"])) for name, value in values.items())
