"""A file that is damaged in DVC's cache is named, with what to do about it, when what DVC made of it is refused."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from stages.dvc_cache import cached_file, cached_folder, damaged_files
from stages.params import Params
from stages.workspace import Workspace
from tests.stages import copy_pipeline, refusal


def store(workspace: Workspace, data: bytes, suffix: str = "") -> str:
    """Put content into the cache and return its digest."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest() + suffix
    path = cached_file(workspace, md5)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return md5


def lock(workspace: Workspace, **outs: str) -> None:
    """Write a lock that names outputs."""
    copy_pipeline(workspace)
    entries = [{"path": path, "md5": md5} for path, md5 in outs.items()]
    stages = {"pack@cpu": {"cmd": "a", "outs": entries}, "models": {"cmd": "b"}}
    text = yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)
    (workspace.root / "pipeline/pack/dvc.lock").write_text(text, "utf-8")


@pytest.fixture
def cached(workspace: Workspace) -> dict[str, str]:
    """Enter a workspace whose lock names a file and a folder of the cache."""
    digests = {"inside": store(workspace, b"inside"), "file": store(workspace, b"file")}
    listing = [{"md5": digests["inside"], "relpath": "a.bin"}]
    digests["folder"] = store(workspace, json.dumps(listing).encode(), ".dir")
    lock(workspace, a=digests["file"], b=digests["folder"], c="0" * 32, d="1" * 32 + ".dir")
    return digests


def test_a_cache_that_is_whole_has_no_damaged_files(workspace: Workspace, cached: dict[str, str]) -> None:
    assert list(damaged_files(workspace)) == []
    assert cached_folder(workspace, cached["folder"]) == {"a.bin": cached_file(workspace, cached["inside"])}


@pytest.mark.parametrize("what", ["file", "inside", "folder"])
def test_a_damaged_file_is_found(workspace: Workspace, cached: dict[str, str], what: str) -> None:
    path = cached_file(workspace, cached[what])
    path.write_bytes(b"[" + path.read_bytes())
    assert list(damaged_files(workspace)) == [path]


@pytest.mark.parametrize("name", ["archives/cpu-cache-x86_64.tar.zst", "manifests/archives.json"])
def test_what_is_damaged_is_refused_with_its_file_in_the_cache_and_the_command_that_mends_it(
    workspace: Workspace, whole: Params, name: str
) -> None:
    built = workspace.build / name
    md5 = store(workspace, built.read_bytes())
    lock(workspace, a=md5)
    data = bytearray(built.read_bytes())
    data[len(data) // 2] ^= 0x80
    built.write_bytes(data)
    assert "DVC's cache" not in refusal(workspace, "validate")
    cached_file(workspace, md5).write_bytes(data)
    said = "DVC's cache has a damaged file, which comes back with every checkout"
    path = cached_file(Workspace(Path()), md5)
    assert refusal(workspace, "validate").endswith(f"; {said}; run: rm -f {path} && dvc repro")
    assert whole.models
