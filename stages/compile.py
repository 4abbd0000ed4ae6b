"""compile TARGET MODEL: build a prepared model's engine for one target."""

import argparse
import json
import shutil
from pathlib import Path

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import ToolchainMismatchError
from morphstream.artifact.manifest import EngineFile, EngineManifest
from morphstream.artifact.recipe import Recipe
from stages.builders import Builder, Order, Shapes, openvino, tensorrt_rtx
from stages.declare import builder_source
from stages.files import ENGINES, PREPARED, new_folder
from stages.params import ParamsError, TargetOptions, load_params
from stages.program import run_program

BUILDERS: dict[str, Builder] = {"openvino": openvino, "tensorrt_rtx": tensorrt_rtx}


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
    precision = "fp32" if options.target.builder == "openvino" else contract["precision"]
    source = prepared / f"{precision}.onnx"
    shapes = profile(contract["inputs"], options.batch)
    recipe = Recipe(
        model=digest_of_file(source),
        target=options.target,
        options=builder.OPTIONS,
        shapes=shapes,
        builder_source=builder_source(options),
    )
    stem = f"{recipe.prefix}_{contract['model']}"
    with new_folder(folder) as part:
        order = Order(model=source, arch=options.target.arch, shapes=shapes, stem=stem, folder=part)
        kinds = builder.build(order)
        if (prepared / "emap.npy").is_file():
            shutil.copyfile(prepared / "emap.npy", part / f"{stem}.npy")
            kinds[f"{stem}.npy"] = "emap"
        files = {
            name: EngineFile(
                group=contract["group"],
                onnx_model=contract["model"],
                digest=digest_of_file(part / name),
                recipe=recipe.sha256,
                kind=kind,
                precision=precision,
            )
            for name, kind in kinds.items()
        }
        manifest = EngineManifest(
            cache_key=options.target.cache_key, toolchain=options.target.toolchain, engine_files=files
        )
        (part / "manifest.json").write_text(manifest.to_json(), "utf-8")


def builder_of(options: TargetOptions) -> Builder:
    """Return a target's builder, once the machine is known to have its toolchain.

    Raises:
        ParamsError: There is no such builder.
        ToolchainMismatchError: The machine has another version of a library, or none.
    """
    if (builder := BUILDERS.get(options.target.builder)) is None:
        raise ParamsError(f"targets.{options.name}.builder", f"one of {', '.join(BUILDERS)}", options.target.builder)
    actual = builder.versions()
    for library, declared in options.target.toolchain.items():
        if actual.get(library) != declared:
            where = f"targets.{options.name}.toolchain"
            raise ToolchainMismatchError(where, library, declared, actual.get(library))
    return builder


def profile(inputs: dict[str, dict[str, list[int]]], batch: int) -> Shapes:
    """Return least, usual and greatest shape of each input; a dynamic batch goes from 1 to the target's.

    Args:
        inputs: As in a prepared model's contract.json.
        batch: The greatest batch.
    """
    shapes = {}
    for name, value in inputs.items():
        least, usual, greatest = (
            tuple(size if dim == -1 else dim for dim in value["shape"]) for size in (1, batch // 2 or 1, batch)
        )
        shapes[name] = (least, usual, greatest)
    return shapes


if __name__ == "__main__":
    run_program(main)
