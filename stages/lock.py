"""dvc.lock, read and written whole: DVC writes it in place, so that a run that is killed there leaves half of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dvc.utils.serialize import dumps_yaml

from morphstream.artifact.errors import MorphstreamError
from stages.files import write_whole


def read_lock(path: Path) -> dict[str, Any]:
    """Return what dvc.lock records of each stage, by name; nothing where there is no such file."""
    if not path.exists():
        return {}
    try:
        document = yaml.load(path.read_bytes(), yaml.CSafeLoader)
        stages: dict[str, Any] = dict(document["stages"])
    except (yaml.YAMLError, TypeError, KeyError, ValueError):
        expected = "expected the stages that DVC locked, seen a broken file"
        raise MorphstreamError(f"{path}: {expected}; run: git checkout {path}") from None
    return stages


def write_lock(path: Path, stages: Mapping[str, Any]) -> None:
    """Write dvc.lock as DVC would; a file with the same stages isn't touched."""
    if stages != read_lock(path):
        write_whole(path, dumps_yaml({"schema": "2.0", "stages": dict(stages)}).encode())
