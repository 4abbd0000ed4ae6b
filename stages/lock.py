"""dvc.lock, read and written whole: DVC writes it in place, so that a run that is killed there leaves half of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dvc.utils.serialize import dumps_yaml

from morphstream.artifact.errors import MorphstreamError
from stages.files import write_whole

DVC_LOCK = Path("dvc.lock")


def read_lock() -> dict[str, Any]:
    """Return what dvc.lock says of each stage, by name; nothing where there is no such file.

    Raises:
        MorphstreamError: It is broken.
        OSError: It can't be read.
    """
    if not DVC_LOCK.exists():
        return {}
    try:
        document = yaml.load(DVC_LOCK.read_bytes(), yaml.CSafeLoader)
        stages: dict[str, Any] = dict(document["stages"])
    except (yaml.YAMLError, TypeError, KeyError, ValueError):
        expected = "expected the stages that DVC locked, seen a broken file"
        raise MorphstreamError(f"{DVC_LOCK}: {expected}; run: git checkout {DVC_LOCK}") from None
    return stages


def write_lock(stages: Mapping[str, Any]) -> None:
    """Write dvc.lock as DVC would; what would be the same stays.

    Raises:
        MorphstreamError: What is there is broken.
        OSError: It can't be written.
    """
    if stages != read_lock():
        write_whole(DVC_LOCK, dumps_yaml({"schema": "2.0", "stages": dict(stages)}).encode())
