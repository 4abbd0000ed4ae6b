"""The dvc.lock files, read and written whole: DVC writes one in place, and a run that is killed there leaves half of it.

A lock has its stages in the order of its dvc.yaml, whatever was run first. DVC appends a new stage, and runs stages in
an order that differs from run to run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from morphstream.artifact.errors import ManifestError, MorphstreamError
from stages.files import write_whole
from stages.lists import pipeline_files, stage_names
from stages.workspace import Workspace
from stages.yaml_file import read_object


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


def order_locks(workspace: Workspace) -> list[str]:
    """Put every dvc.lock in the order of its dvc.yaml, without stages that aren't there; return those."""
    gone = []
    for dvc_yaml in pipeline_files(workspace):
        locked, names = read_lock(lock_of(dvc_yaml)), stage_names(dvc_yaml)
        write_lock(lock_of(dvc_yaml), {name: locked[name] for name in names if name in locked})
        gone += sorted(set(locked).difference(names))
    return gone
