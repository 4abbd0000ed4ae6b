"""With a hub as origin, models come as pinned, several at a time, and no token is in any file or message."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from morphstream.artifact.digest import digest_of
from stages.files import BUILD
from stages.params import load_params
from tests.loopback.faults import Fault
from tests.loopback.repository import Large
from tests.loopback.repository import Repository as Served
from tests.loopback.server import Hub
from tests.stages import files_in, reduced, write_params
from tests.stages.conftest import MODELS

DATA = {name: os.urandom(1 << 20) for name in MODELS}


@pytest.fixture
def served(hub: Hub, workspace: Path) -> Served:
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
    write_params(workspace, data)
    return served


def fetch(hub: Hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.fetch", *arguments]
    environment = {**os.environ, **hub.environment(Path("home").resolve())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert hub.token not in done.stdout + done.stderr
    return done


def refusal(hub: Hub, *arguments: str) -> str:
    done = fetch(hub, *arguments)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    return line


def fetched() -> dict[str, bytes]:
    models = load_params().models
    return {name: (BUILD / model.file).read_bytes() for name, model in models.items() if (BUILD / model.file).exists()}


def change(**keys: object) -> None:
    data = reduced(MODELS, ["cpu"])
    params = load_params()
    for name, model in params.models.items():
        data["models"][name] |= {"sha256": model.sha256, "bytes": model.bytes}
    data |= {"origin": "hub", "hub": {"repo": params.hub.repo, "revision": params.hub.revision} | keys}
    write_params(Path.cwd(), data)


def test_one_model_is_fetched_as_dvc_asks_for_it(hub: Hub, served: Served) -> None:
    done = fetch(hub, "xseg_1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert fetched() == {"xseg_1": DATA["xseg_1"]}


def test_all_are_fetched_side_by_side(hub: Hub, served: Served) -> None:
    hub.faults.add(Fault(kind="drip", path="^/lfs/", at=1 << 20, pause_s=0.5, times=None))
    assert fetch(hub).returncode == 0
    assert fetched() == DATA
    answered = [asked for asked in hub.requests if asked.path.startswith("/lfs/") or asked.method == "GET"]
    first_end = next(index for index, asked in enumerate(answered) if asked.path.startswith("/lfs/"))
    assert [asked.path.startswith("/lfs/") for asked in answered[:first_end]] == [False] * len(MODELS)


def test_what_is_there_and_right_is_not_asked_for(hub: Hub, served: Served) -> None:
    fetch(hub)
    hub.requests.clear()
    (BUILD / load_params().models["xseg_1"].file).write_bytes(b"altered")
    assert fetch(hub).returncode == 0
    assert fetched() == DATA
    assert len([asked for asked in hub.requests if asked.path.startswith("/lfs/")]) == 1
    hub.requests.clear()
    assert fetch(hub).returncode == 0
    assert hub.requests == []


def test_one_model_s_fault_is_one_line_and_the_others_come(hub: Hub, served: Served) -> None:
    hub.faults.add(Fault(kind="status", status=404, code="EntryNotFound", path="xseg_1", times=None))
    assert "models/xseg_1.onnx: expected the file at that revision, seen 404" in refusal(hub)
    assert fetched() == {name: data for name, data in DATA.items() if name != "xseg_1"}


def test_other_bytes_than_pinned_are_refused_and_not_kept(hub: Hub, served: Served) -> None:
    hub.faults.add(Fault(kind="corrupt", path="^/lfs/", times=None))
    assert "xseg_1.onnx: expected sha256 " in refusal(hub, "xseg_1")
    assert fetched() == {}


@pytest.mark.parametrize("revision", ["main"])
def test_a_branch_is_refused(hub: Hub, served: Served, revision: str) -> None:
    params = Path("params.yaml").read_text("utf-8").replace(str(load_params().hub.revision), revision)
    Path("params.yaml").write_text(params, "utf-8")
    assert f"hub.revision: expected a commit of 40 hexadecimal digits, seen '{revision}'" in refusal(hub, "xseg_1")
    assert hub.requests == []


def test_missing_pins_are_refused_before_anything_is_asked(hub: Hub, workspace: Path) -> None:
    data = reduced(MODELS, ["cpu"]) | {"origin": "hub"}
    write_params(workspace, data)
    assert "hub.revision: expected a commit of 40 hexadecimal digits, seen null; run: " in refusal(hub, "fan_68_5")
    data["hub"]["revision"] = "0" * 40
    write_params(workspace, data)
    message = refusal(hub, "fan_68_5")
    assert (
        "models.fan_68_5: expected sha256 and bytes in params.yaml, seen null; run: python -m stages.fetch --pin"
        in message
    )
    assert hub.requests == []
    assert not BUILD.exists()


def test_pins_are_written_and_shown(hub: Hub, served: Served) -> None:
    served.commit(None, "Change", {load_params().models["xseg_1"].file: b"another"})
    done = fetch(hub, "--pin")
    assert done.returncode == 0
    assert f"+  revision: {served.tip()}" in done.stdout
    assert f"+    sha256: {digest_of(b'another').sha256}" in done.stdout
    assert fetch(hub).returncode == 0
    assert fetched() == DATA | {"xseg_1": b"another"}
    assert fetch(hub, "--pin", "main").stdout.startswith("params.yaml: the pins are those of ")


def test_no_token_or_one_that_nobody_knows_is_refused_with_what_to_do(hub: Hub, served: Served) -> None:
    for token in ("", "hf_nobody_knows_this_one"):
        environment = {**os.environ, **hub.environment(Path("home").resolve(), token=None), "HF_TOKEN": token}
        command = [sys.executable, "-m", "stages.fetch", "xseg_1"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 1
        assert "seen 401" in line
        assert "HF_TOKEN or `hf auth login`" in line
        assert "hf_nobody" not in line


def test_the_user_s_login_is_used(hub: Hub, served: Served) -> None:
    home = Path("home").resolve()
    home.mkdir()
    (home / "token").write_text(hub.token)
    environment = {**os.environ, **hub.environment(home, token=None)}
    environment.pop("HF_TOKEN")
    command = [sys.executable, "-m", "stages.fetch", "xseg_1"]
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    assert fetched() == {"xseg_1": DATA["xseg_1"]}


def test_no_token_is_left_in_any_file_or_argument(hub: Hub, served: Served) -> None:
    hub.faults.add(Fault(kind="status", status=403, is_echo=True, times=3))
    assert "***" in refusal(hub, "xseg_1")
    fetch(hub)
    for name, data in files_in(Path.cwd()).items():
        assert hub.token.encode() not in data, name


def test_only_dvc_holds_a_fetch_to_what_was_declared(hub: Hub, served: Served) -> None:
    declared = Path("build/declared/fetch/xseg_1.json")
    declared.parent.mkdir(parents=True)
    declared.write_text("{}")
    assert "expected what params.yaml and stages say now" in refusal(hub, "xseg_1", "--declared")
    assert fetched() == {}
    assert fetch(hub, "xseg_1").returncode == 0
    assert fetched() == {"xseg_1": DATA["xseg_1"]}


def test_wrong_usage_exits_2(hub: Hub, served: Served) -> None:
    assert fetch(hub, "xseg_1", "--pin", "main").returncode == 2
    assert "models: expected one of" in refusal(hub, "xseg_9")
