"""compile TARGET MODEL: build a prepared model's engine for one target."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import MorphstreamError, ToolchainMismatchError
from morphstream.artifact.manifest import EngineFile, EngineManifest
from morphstream.artifact.recipe import Recipe
from morphstream.process import shortage_of
from stages.builders import Builder, Order, openvino, tensorrt, tensorrt_rtx
from stages.builders.order import order_of
from stages.declare import check_declared
from stages.exclusive import engine_folder
from stages.files import new_folder, read_json
from stages.params import TargetOptions, load_params
from stages.prepare import prepare_missing
from stages.program import read_arguments, run_program
from stages.workspace import Workspace

BUILDERS: Mapping[str, Builder] = {"openvino": openvino, "tensorrt_rtx": tensorrt_rtx, "tensorrt": tensorrt}


def main(workspace: Workspace) -> None:
    """Compile one model for one target."""
    target, name = read_arguments(__doc__, "target", "model")
    params = load_params(workspace.params)
    options, model = params.target(target), params.model(name)
    check_declared(workspace, f"engines/{model.name}", params)
    folder = engine_folder(workspace, options, model.name)
    builder_of(options)  # refuses another toolchain first
    compile_model(options, prepare_missing(workspace, model), folder, workspace.timing)


def compile_model(
    options: TargetOptions,
    prepared: Path,
    folder: Path,
    timing: Path,
    builders: Mapping[str, Builder] = BUILDERS,
) -> None:
    """Write an engine's files and the ``manifest.json`` that names them into a folder.

    Builders keep in `timing` what they measured, in a folder for each target.
    """
    target, builder = options.target, builder_of(options, builders)
    contract = read_json(prepared / "contract.json")
    with new_folder(folder) as part:
        shared = timing / "-".join([target.arch, *target.toolchain.values()])
        order, recipe = order_of(builder, options, prepared, part, shared)
        try:
            kinds = builder.build(order)
        except (RuntimeError, MemoryError) as error:
            if shortage := shortage_of(error):
                raise MorphstreamError(f"{folder}: {shortage}") from error
            raise
        if contract.get("emap"):
            kinds[f"{order.stem}.npy"] = "emap"
            shutil.copyfile(prepared / "emap.npy", part / f"{order.stem}.npy")
        files = {name: _entry(part / name, kind, contract, order, recipe) for name, kind in kinds.items()}
        manifest = EngineManifest(cache_key=target.cache_key, toolchain=target.toolchain, engine_files=files)
        (part / "manifest.json").write_text(manifest.to_json(), "utf-8")


def _entry(path: Path, kind: str, contract: Mapping[str, Any], order: Order, recipe: Recipe) -> EngineFile:
    digest = digest_of_file(path)
    if kind == "timing":  # of all models of the target
        return EngineFile(group="shared", onnx_model=None, digest=digest, kind=kind)
    return EngineFile(
        group=contract["group"],
        onnx_model=contract["model"],
        digest=digest,
        recipe=recipe.sha256,
        kind=kind,
        precision=order.precision,
        role=contract.get("role"),
        delivery=contract.get("delivery"),
        emap=contract.get("emap"),
    )


def builder_of(options: TargetOptions, builders: Mapping[str, Builder] = BUILDERS) -> Builder:
    """Return a target's builder, once the machine is known to have its toolchain."""
    builder = builders[options.target.builder]
    actual = builder.versions()
    for library, declared in options.target.toolchain.items():
        if actual.get(library) != declared:
            where = f"targets.{options.name}.toolchain"
            raise ToolchainMismatchError(where, library, declared, actual.get(library))
    return builder


if __name__ == "__main__":
    run_program(main)
