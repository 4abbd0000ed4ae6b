"""compile TARGET MODEL: build a prepared model's engine for one target."""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import ToolchainMismatchError
from morphstream.artifact.manifest import EngineFile, EngineManifest
from morphstream.artifact.recipe import Recipe
from stages.builders import Builder, Order, Shapes, Tensor, openvino, tensorrt, tensorrt_rtx
from stages.declare import builder_source, check_declared
from stages.files import ENGINES, PREPARED, TIMING, new_folder
from stages.params import TargetOptions, load_params
from stages.program import run_program
from stages.surgery.read import digest_of_model

BUILDERS: dict[str, Builder] = {"openvino": openvino, "tensorrt_rtx": tensorrt_rtx, "tensorrt": tensorrt}


def main() -> None:
    """Compile one model for one target.

    Raises:
        MorphstreamError: The machine has another toolchain, or the builder can't take the model.
        OSError: The engine can't be written.
    """
    parser = argparse.ArgumentParser(prog="python -m stages.compile", description=__doc__)
    parser.add_argument("target", help="its name in params.yaml")
    parser.add_argument("model", help="its name in params.yaml")
    arguments = parser.parse_args()
    params = load_params()
    options, model = params.target(arguments.target), params.model(arguments.model).name
    check_declared(f"compile/{options.name}", params)
    compile_model(options, PREPARED / model, ENGINES / options.name / model)


def compile_model(options: TargetOptions, prepared: Path, folder: Path) -> None:
    """Write an engine's files and ``manifest.json``, which names them, into a folder.

    Raises:
        ToolchainMismatchError: The machine has another toolchain than the target.
        ModelError: The builder can't take the model.
        OSError: A file can't be read or written.
    """
    builder = builder_of(options)
    contract = json.loads((prepared / "contract.json").read_text("utf-8"))
    with new_folder(folder) as part:
        order, recipe = order_of(options, prepared, part)
        kinds = builder.build(order)
        if (prepared / "emap.npy").is_file():
            kinds[f"{order.stem}.npy"] = "emap"
            shutil.copyfile(prepared / "emap.npy", part / f"{order.stem}.npy")
        files = {
            name: EngineFile(
                group="shared" if kind == "timing" else contract["group"],
                onnx_model=None if kind == "timing" else contract["model"],
                digest=digest_of_file(part / name),
                recipe=None if kind == "timing" else recipe.sha256,
                kind=kind,
                precision=None if kind == "timing" else order.precision,
            )
            for name, kind in kinds.items()
        }
        manifest = EngineManifest(
            cache_key=options.target.cache_key, toolchain=options.target.toolchain, engine_files=files
        )
        (part / "manifest.json").write_text(manifest.to_json(), "utf-8")


def order_of(options: TargetOptions, prepared: Path, folder: Path) -> tuple[Order, Recipe]:
    """Return what a target's builder is asked for, and the recipe of the engine.

    Raises:
        ModelError: The prepared model is broken.
        OSError: A file can't be read.
    """
    builder = BUILDERS[options.target.builder]
    contract = json.loads((prepared / "contract.json").read_text("utf-8"))
    precision = options.target.precision or ("fp32" if builder.HALF == "never" else contract["precision"])
    source = prepared / f"{precision if builder.HALF == 'file' else 'fp32'}.onnx"
    shapes = shapes_of(contract["inputs"], contract["batches"])
    recipe = Recipe(
        model=digest_of_model(source),
        target=options.target,
        options={**builder.OPTIONS, "archs": " ".join(options.archs), "precision": precision},
        shapes=shapes,
        builder_source=builder_source(options),
    )
    order = Order(
        model=source,
        archs=options.archs,
        precision=precision,
        inputs=_tensors(contract["inputs"]),
        outputs=_tensors(contract["outputs"]),
        shapes=shapes,
        stem=f"{recipe.prefix}_{contract['model']}",
        folder=folder,
        shared=TIMING / "-".join([options.target.arch, *options.target.toolchain.values()]),
    )
    return order, recipe


def builder_of(options: TargetOptions) -> Builder:
    """Return a target's builder, once the machine is known to have its toolchain.

    Raises:
        ToolchainMismatchError: The machine has another version of a library, or none.
    """
    builder = BUILDERS[options.target.builder]
    actual = builder.versions()
    for library, declared in options.target.toolchain.items():
        if actual.get(library) != declared:
            where = f"targets.{options.name}.toolchain"
            raise ToolchainMismatchError(where, library, declared, actual.get(library))
    return builder


def shapes_of(inputs: dict[str, dict[str, list[int]]], batches: Sequence[int]) -> Shapes:
    """Return the shape of each input at each batch.

    Args:
        inputs: As in a prepared model's contract.json; -1 is a dynamic batch.
        batches: The sizes that the engine is for.
    """
    return {
        name: tuple(tuple(size if dim == -1 else dim for dim in value["shape"]) for size in batches)
        for name, value in inputs.items()
    }


def _tensors(values: dict[str, dict[str, Any]]) -> tuple[Tensor, ...]:
    return tuple(Tensor(name=name, dtype=value["dtype"], shape=tuple(value["shape"])) for name, value in values.items())


if __name__ == "__main__":
    run_program(main)
