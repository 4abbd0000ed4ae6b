"""Which targets need a GPU to themselves, and so a machine and a stage of their own; all others are built anywhere."""

from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.target import Target

if TYPE_CHECKING:
    from stages.params import Params, TargetOptions
    from stages.workspace import Workspace


def exclusive_gpu(target: Target) -> str | None:
    """Return the arch of the GPU that a target's builder needs to itself, as it times kernels; None if it doesn't."""
    return target.arch if target.builder == "tensorrt" else None


def built_together(params: "Params") -> "dict[str, TargetOptions]":
    """Return the targets that are built on any machine, all of a model's in one stage."""
    return {name: build.target for name, build in params.builds.items() if not exclusive_gpu(build.target.target)}


def built_alone(params: "Params") -> "dict[str, TargetOptions]":
    """Return the targets that are built on their own GPU alone, each in a stage of its own."""
    return {name: build.target for name, build in params.builds.items() if exclusive_gpu(build.target.target)}


def engine_folder(workspace: "Workspace", options: "TargetOptions", model: str) -> Path:
    """Return the folder of a model's engine for a target; those that one stage makes are in one folder."""
    return (workspace.gpu_engine if exclusive_gpu(options.target) else workspace.engines) / model / options.name


def seconds_file(workspace: "Workspace", target: str, model: str) -> Path:
    """Return the file that says how long this machine built a model's engine for a target."""
    return workspace.measured / "seconds" / target / f"{model}.json"


def engine_stage(params: "Params", target: str, model: str) -> str:
    """Return the name of the stage that builds a model's engine for a target."""
    return f"gpu_engine@{target}-{model}" if target in built_alone(params) else f"engines@{model}"
