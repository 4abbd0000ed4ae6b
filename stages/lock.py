"""The dvc.lock files, read and written whole: DVC writes one in place, and where it is killed leaves half of it.

A lock has its stages in the order of its dvc.yaml, whatever was run first. DVC appends a new stage, and runs stages in
an order that differs from run to run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from morphstream.artifact.errors import ManifestError, MorphstreamError
from morphstream.yaml_file import read_object
from stages.files import write_whole
from stages.lists import pipeline_files, stage_names
from stages.workspace import Workspace


def lock_of(dvc_yaml: Path) -> Path:
    """Return the lock of a dvc.yaml."""
    return dvc_yaml.with_name("dvc.lock")


def read_lock(path: Path) -> dict[str, Any]:
    """Return what a dvc.lock records of each stage, by name; nothing where there is no such file."""
    if not path.exists():
        return {}
    try:
        stages = dict(cast("dict[str, Any]", read_object(path)["stages"]))
    except (ManifestError, TypeError, KeyError, ValueError):
        expected = "expected the stages that DVC locked, seen a broken file"
        raise MorphstreamError(f"{path}: {expected}; run: git checkout {path}") from None
    return stages


def write_lock(path: Path, stages: Mapping[str, Any]) -> None:
    """Write a dvc.lock as DVC would; a file with the same stages in the same order isn't touched."""
    if list(stages.items()) != list(read_lock(path).items()):
        from dvc.utils.serialize import dumps_yaml  # here, as it takes long to load

        write_whole(path, dumps_yaml({"schema": "2.0", "stages": dict(stages)}).encode())


def read_locks(workspace: Workspace) -> dict[str, Any]:
    """Return what all dvc.lock files record of stages, by name, which no two files share."""
    return {name: stage for path in pipeline_files(workspace) for name, stage in read_lock(lock_of(path)).items()}


def write_locks(workspace: Workspace, stages: Mapping[str, Any]) -> None:
    """Write every dvc.lock in the order of its dvc.yaml, with what is recorded of its stages and of no others."""
    for path in pipeline_files(workspace):
        write_lock(lock_of(path), {name: stages[name] for name in stage_names(path) if name in stages})


def order_locks(workspace: Workspace) -> list[str]:
    """Put every dvc.lock in order, without stages that its dvc.yaml hasn't; return those."""
    stages = read_locks(workspace)
    write_locks(workspace, stages)
    return sorted(stages.keys() - read_locks(workspace).keys())
