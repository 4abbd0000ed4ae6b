"""The loopback hub is a hub for the real client, old and new, and for its command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loopback.server import READ_TOKEN, Hub
from tests.stages import ROOT, files_in

CLIENT_1 = ROOT / ".venv" / "client-1"
HF = Path(sys.executable).with_name("hf")


def run(hub: Hub, home: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, **hub.environment(home), "READ_TOKEN": READ_TOKEN, **environment}
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", ["1.", "2."])
@pytest.mark.parametrize("page_size", [1000, 2], ids=["one page", "many pages"])
def test_the_client_s_whole_lifecycle_goes_as_on_the_real_hub(tmp_path: Path, version: str, page_size: int) -> None:
    if version == "1." and not CLIENT_1.is_dir():
        pytest.skip(f"needs a client 1.x in {CLIENT_1}; run: make setup")
    path = {"PYTHONPATH": str(CLIENT_1)} if version == "1." else {}
    with Hub(tmp_path / "hub", page_size=page_size) as hub:
        folder = tmp_path / "folder"
        folder.mkdir()
        command = (sys.executable, "-m", "tests.loopback.lifecycle", version, "org/name", str(folder))
        done = run(hub, tmp_path / "home", *command, **path)
        assert done.returncode == 0, done.stderr
        assert {asked.status for asked in hub.requests if asked.path.startswith("/lfs/")} <= {200, 206}
        assert not [asked for asked in hub.requests if asked.path.startswith("/lfs/") and asked.has_authorization]


def test_a_hub_that_is_started_again_has_what_it_had(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub") as hub:
        tip = hub.create("org/name").tip()
    with Hub(tmp_path / "hub") as hub:
        assert hub.repository("org/name").tip() == tip


def test_the_command_line_uploads_and_downloads_the_same_bytes(tmp_path: Path, hub: Hub) -> None:
    source = tmp_path / "source"
    (source / "models").mkdir(parents=True)
    (source / "models/a.onnx").write_bytes(b"\0" * 5000)
    (source / "b.txt").write_text("b")
    hub.create("org/name")
    uploaded = run(hub, tmp_path / "home", str(HF), "upload", "org/name", str(source), ".")
    assert uploaded.returncode == 0, uploaded.stderr
    target = tmp_path / "target"
    downloaded = run(hub, tmp_path / "home", str(HF), "download", "org/name", "--local-dir", str(target))
    assert downloaded.returncode == 0, downloaded.stderr
    got = {path: data for path, data in files_in(target).items() if not path.startswith(".cache/")}
    assert got == {**files_in(source), ".gitattributes": got[".gitattributes"]}
