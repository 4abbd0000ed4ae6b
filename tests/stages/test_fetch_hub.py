"""With a hub as origin, models come as pinned, several at a time, and no token is in any file or message."""

import os
import subprocess
import sys

import pytest

from morphstream.artifact.digest import digest_of
from stages.params import load_params
from stages.workspace import Workspace
from tests.loopback.faults import Fault
from tests.loopback.repository import Large
from tests.loopback.repository import Repository as Served
from tests.loopback.server import Hub
from tests.stages import ROOT, files_in, reduced, run_stage, write_params
from tests.stages.conftest import MODELS

DATA = {name: os.urandom(1 << 20) for name in MODELS}


@pytest.fixture
def served(hub: Hub, workspace: Workspace) -> Served:
    """Publish a large file for each model and pin them."""
    served = hub.create("morphstream/models")
    data, files = reduced(MODELS, ["cpu"]) | {"origin": "hub"}, dict[str, bytes | Large]()
    for name, model in data["models"].items():
        digest = digest_of(DATA[name])
        path = served.object_path(digest.sha256)
        path.parent.mkdir(parents=True)
        path.write_bytes(DATA[name])
        files[model["file"]] = Large(digest.sha256, digest.bytes)
        model |= {"sha256": digest.sha256, "bytes": digest.bytes}
    data["hub"]["revision"] = served.commit(None, "Publish", files)
    write_params(workspace.root, data)
    return served


def fetch(workspace: Workspace, hub: Hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = run_stage(workspace, "fetch", *arguments, **hub.environment(workspace.root / "home"))
    assert hub.token not in done.stdout + done.stderr
    return done


def refusal(workspace: Workspace, hub: Hub, *arguments: str) -> str:
    done = fetch(workspace, hub, *arguments)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    return line


def fetched(workspace: Workspace) -> dict[str, bytes]:
    files = {name: workspace.build / model.file for name, model in load_params(workspace.params).models.items()}
    return {name: path.read_bytes() for name, path in files.items() if path.exists()}


def change(workspace: Workspace, **keys: object) -> None:
    data = reduced(MODELS, ["cpu"])
    params = load_params(workspace.params)
    for name, model in params.models.items():
        data["models"][name] |= {"sha256": model.sha256, "bytes": model.bytes}
    data |= {"origin": "hub", "hub": {"repo": params.hub.repo, "revision": params.hub.revision} | keys}
    write_params(workspace.root, data)


def test_one_model_is_fetched_as_dvc_asks_for_it(workspace: Workspace, hub: Hub, served: Served) -> None:
    done = fetch(workspace, hub, "xseg_1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert fetched(workspace) == {"xseg_1": DATA["xseg_1"]}


def test_all_are_fetched_side_by_side(workspace: Workspace, hub: Hub, served: Served) -> None:
    hub.faults.add(Fault(kind="drip", path="^/lfs/", at=1 << 20, pause_s=0.5, times=None))
    assert fetch(workspace, hub).returncode == 0
    assert fetched(workspace) == DATA
    answered = [asked for asked in hub.requests if asked.path.startswith("/lfs/") or asked.method == "GET"]
    first_end = next(index for index, asked in enumerate(answered) if asked.path.startswith("/lfs/"))
    assert [asked.path.startswith("/lfs/") for asked in answered[:first_end]] == [False] * len(MODELS)


def test_what_is_there_and_right_is_not_asked_for(workspace: Workspace, hub: Hub, served: Served) -> None:
    fetch(workspace, hub)
    hub.requests.clear()
    (workspace.build / load_params(workspace.params).models["xseg_1"].file).unlink()
    assert fetch(workspace, hub).returncode == 0
    assert fetched(workspace) == DATA
    assert len([asked for asked in hub.requests if asked.path.startswith("/lfs/")]) == 1
    hub.requests.clear()
    assert fetch(workspace, hub).returncode == 0
    assert hub.requests == []


def test_somebody_s_own_file_stays_and_the_others_come(workspace: Workspace, hub: Hub, served: Served) -> None:
    own = workspace.build / load_params(workspace.params).models["xseg_1"].file
    own.parent.mkdir(parents=True)
    own.write_bytes(b"my own")
    assert f"{own.relative_to(workspace.root)}: expected no file, or one that can be had again, seen another file" in (
        refusal(workspace, hub)
    )
    assert fetched(workspace) == DATA | {"xseg_1": b"my own"}


def test_one_model_s_fault_is_one_line_and_the_others_come(workspace: Workspace, hub: Hub, served: Served) -> None:
    hub.faults.add(Fault(kind="status", status=404, code="EntryNotFound", path="xseg_1", times=None))
    assert "models/xseg_1.onnx: expected the file at that revision, seen 404" in refusal(workspace, hub)
    assert fetched(workspace) == {name: data for name, data in DATA.items() if name != "xseg_1"}


def test_other_bytes_than_pinned_are_refused_and_not_kept(workspace: Workspace, hub: Hub, served: Served) -> None:
    hub.faults.add(Fault(kind="corrupt", path="^/lfs/", times=None))
    assert "xseg_1.onnx: expected sha256 " in refusal(workspace, hub, "xseg_1")
    assert fetched(workspace) == {}


@pytest.mark.parametrize("revision", ["main"])
def test_a_branch_is_refused(workspace: Workspace, hub: Hub, served: Served, revision: str) -> None:
    params = workspace.params.read_text("utf-8").replace(str(load_params(workspace.params).hub.revision), revision)
    workspace.params.write_text(params, "utf-8")
    message = refusal(workspace, hub, "xseg_1")
    assert f'hub.revision: expected a commit of 40 hexadecimal digits, seen "{revision}"' in message
    assert hub.requests == []


def test_missing_pins_are_refused_before_anything_is_asked(hub: Hub, workspace: Workspace) -> None:
    data = reduced(MODELS, ["cpu"]) | {"origin": "hub"}
    write_params(workspace.root, data)
    message = refusal(workspace, hub, "fan_68_5")
    assert "hub.revision: expected a commit of 40 hexadecimal digits, seen null; run: " in message
    data["hub"]["revision"] = "0" * 40
    write_params(workspace.root, data)
    message = refusal(workspace, hub, "fan_68_5")
    assert (
        "models.fan_68_5: expected sha256 and bytes in params.yaml, seen null; run: python -m stages.fetch --pin"
        in message
    )
    assert hub.requests == []
    assert not workspace.build.exists()


def test_pins_are_written_and_shown(workspace: Workspace, hub: Hub, served: Served) -> None:
    served.commit(None, "Change", {load_params(workspace.params).models["xseg_1"].file: b"another"})
    done = fetch(workspace, hub, "--pin")
    assert done.returncode == 0
    assert f"+  revision: {served.tip()}" in done.stdout
    assert f"+    sha256: {digest_of(b'another').sha256}" in done.stdout
    assert fetch(workspace, hub).returncode == 0
    assert fetched(workspace) == DATA | {"xseg_1": b"another"}
    assert fetch(workspace, hub, "--pin", "main").stdout.startswith("params.yaml: the pins are those of ")


def test_no_token_or_one_that_nobody_knows_is_refused_with_what_to_do(
    workspace: Workspace, hub: Hub, served: Served
) -> None:
    for token in ("", "hf_nobody_knows_this_one"):
        environment = hub.environment(workspace.root / "home", token=None) | {"HF_TOKEN": token}
        done = run_stage(workspace, "fetch", "xseg_1", **environment)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 1
        assert "seen 401" in line
        assert "HF_TOKEN or `hf auth login`" in line
        assert "hf_nobody" not in line


def test_the_user_s_login_is_used(workspace: Workspace, hub: Hub, served: Served) -> None:
    home = workspace.root / "home"
    home.mkdir()
    (home / "token").write_text(hub.token)
    environment = {**os.environ, **hub.environment(home, token=None), "PYTHONPATH": str(ROOT)}
    environment.pop("HF_TOKEN")
    command = [sys.executable, "-m", "stages.fetch", "xseg_1"]
    assert subprocess.run(command, cwd=workspace.root, env=environment, check=False).returncode == 0
    assert fetched(workspace) == {"xseg_1": DATA["xseg_1"]}


def test_no_token_is_left_in_any_file_or_argument(workspace: Workspace, hub: Hub, served: Served) -> None:
    hub.faults.add(Fault(kind="status", status=403, is_echo=True, times=3))
    assert "***" in refusal(workspace, hub, "xseg_1")
    fetch(workspace, hub)
    for name, data in files_in(workspace.root).items():
        assert hub.token.encode() not in data, name


def test_only_dvc_holds_a_fetch_to_what_was_declared(workspace: Workspace, hub: Hub, served: Served) -> None:
    declared = workspace.build / "declared/fetch/xseg_1.json"
    declared.parent.mkdir(parents=True)
    declared.write_text("{}")
    assert "expected the content of params.yaml and stages now" in refusal(workspace, hub, "xseg_1", "--declared")
    assert fetched(workspace) == {}
    assert fetch(workspace, hub, "xseg_1").returncode == 0
    assert fetched(workspace) == {"xseg_1": DATA["xseg_1"]}


def test_wrong_usage_exits_2(workspace: Workspace, hub: Hub, served: Served) -> None:
    assert fetch(workspace, hub, "xseg_1", "--pin", "main").returncode == 2
    assert "models: expected one of" in refusal(workspace, hub, "xseg_9")
