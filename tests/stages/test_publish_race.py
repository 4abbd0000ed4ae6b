"""Publishers at once, each with another group: no entry is lost, no engine left over, every revision complete."""

import os
import subprocess
import sys
from pathlib import Path

from morphstream.artifact.manifest import ArchivesManifest, EngineManifest, ModelsManifest
from tests.loopback.server import Hub
from tests.stages import ROOT
from tests.stages.publications import KEY, NAME, Project, check_complete, engines_of, texts

ROUNDS = int(os.environ.get("MORPHSTREAM_EXAMPLES") or 5)

# A process that publishes another build/ of its own models in every round, when the other one does.
_PUBLISHER = """
import sys
from pathlib import Path
from stages.hub.client import prepare_client
from stages.hub.repository import Repository
from stages.params import load_params
from stages.publish.__main__ import publish
from stages.publish.local import WHAT, local
from stages.workspace import Workspace
from tests.stages.publications import NAME, fill

prepare_client()
workspace = Workspace(Path(sys.argv[1]))
params = load_params(workspace.params)
for line in sys.stdin:
    turn = int(line)
    what = WHAT if turn % 5 == 4 else ("models", "engines")  # archives are heavier, and engines what can be lost
    fill(workspace, params, turn)
    found = local(workspace, params, what)
    print("ready", flush=True)
    sys.stdin.readline()
    print(publish(workspace.build, params, found, Repository(NAME), " ".join(what)).commit, flush=True)
"""


def start(hub: Hub, folder: Path, home: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    environment = {**os.environ, **hub.environment(home), "PYTHONPATH": path}
    return subprocess.Popen(
        [sys.executable, "-c", _PUBLISHER, str(folder)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(publisher: subprocess.Popen[str], line: str) -> None:
    assert publisher.stdin is not None
    publisher.stdin.write(f"{line}\n")
    publisher.stdin.flush()


def heard(publisher: subprocess.Popen[str]) -> str:
    assert publisher.stdout is not None
    return publisher.stdout.readline().strip()


def test_two_publishers_again_and_again(hub: Hub, tmp_path: Path) -> None:
    served = hub.create(NAME)
    groups = {"core": ("fan_68_5",), "masks": ("xseg_1", "bisenet_resnet_18")}
    publishers = []
    for group, models in groups.items():
        Project.filled(tmp_path / group, models)
        publishers.append(start(hub, tmp_path / group, tmp_path / "home"))
    for turn in range(ROUNDS):
        for publisher in publishers:
            tell(publisher, str(turn))
        assert [heard(publisher) for publisher in publishers] == ["ready"] * 2
        for publisher in publishers:
            tell(publisher, "go")
        commits = [heard(publisher) for publisher in publishers]
        assert served.tip() in commits
        check_turn(hub, turn, {model for models in groups.values() for model in models})
    for publisher in publishers:
        publisher.communicate()
        assert publisher.returncode == 0
    commits = served.commits()
    assert len(commits) == 1 + 2 * ROUNDS
    for commit in commits:
        check_complete(served, commit)
    outrun = [asked for asked in hub.requests if asked.status == 412]
    assert outrun, "the publishers never met: this shows nothing"


def check_turn(hub: Hub, turn: int, models: set[str]) -> None:
    """Check that the tip has every model of a turn, in every manifest and archive, and nothing of the turn before."""
    served = hub.repository(NAME)
    tip = served.tip()
    assert sorted(map(str, engines_of(served, tip, KEY).values())) == sorted(models)
    held = texts(served, tip)
    files = served.files(tip)
    named = EngineManifest.from_json(held[f"trt_cache/{KEY}/manifest.json"]).engine_files
    for name, file in named.items():
        data = served.read(files[f"trt_cache/{KEY}/{name}"])
        assert data == f"the engine of {file.onnx_model} for {KEY}, {turn} ".encode()
    assert set(ModelsManifest.from_json(held["manifests/models.json"]).models) == models
    if turn % 5 != 4:
        return
    archives = ArchivesManifest.from_json(held["manifests/archives.json"]).archives
    packed = archives["cpu-cache-x86_64.tar.zst"].files
    assert set(packed) == {f"trt_cache/{KEY}/{name}" for name in (*named, "manifest.json")}
