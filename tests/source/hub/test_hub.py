"""The Hub is a source: its archives come at one commit, with the token of whoever may read them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from morphstream.artifact.errors import FetchError
from morphstream.boot.boot import boot
from morphstream.source.folder import FolderSource
from morphstream.source.hub import HubSource
from morphstream.source.named import source_of
from morphstream.store.store import Store
from tests.layouts import CPU, MACHINE, archive_of, publish
from tests.loopback.repository import Repository
from tests.loopback.server import READ_TOKEN, Hub
from tests.source.hub.answering import DATA, NAME, fetched, put, source_at
from tests.stages import ROOT


def test_a_store_boots_from_it_at_one_commit(hub: Hub, served: Repository, store: Store, layout: Path) -> None:
    tip = served.tip()
    source = source_at(hub)
    report = boot(store, source=source, machine=MACHINE)
    assert (str(report.cache_key), report.was_good) == (CPU, False)
    assert report.steps[2].reason == f"{archive_of(CPU)} of hub {NAME}@main"
    store.verify()
    put(served, publish(layout, CPU, build=1))
    assert source.read("manifests/archives.json") != FolderSource(layout).read("manifests/archives.json")
    assert {asked.path.split("/")[4] for asked in hub.requests if "/resolve/" in asked.path} == {tip}
    assert [asked.path for asked in hub.requests].count(f"/api/models/{NAME}/revision/main") == 1
    assert not boot(store, source=source_at(hub), machine=MACHINE, update=True).was_good


def test_a_pinned_commit_is_read_without_asking_for_it(hub: Hub, served: Repository) -> None:
    assert fetched(HubSource(NAME, served.tip(), endpoint=hub.endpoint)) == DATA
    assert not any(asked.path.startswith("/api/") for asked in hub.requests)


def test_the_command_boots_from_the_environment(hub: Hub, served: Repository, store: Store, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "morphstream", "boot", "--target", CPU, "--store", str(store.path)]
    environment = {**os.environ, **hub.environment(tmp_path / "home"), "MORPHSTREAM_SOURCE": f"hub:{NAME}"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1][:21]) == (0, "morphstream.boot: ins")
    store.verify()


@pytest.mark.parametrize(("token", "is_private"), [(READ_TOKEN, True), ("", False)], ids=["private", "public"])
def test_a_token_is_of_the_argument_the_environment_or_the_login(
    hub: Hub, layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, is_private: bool
) -> None:
    put(hub.create(NAME, is_private=is_private), layout)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    if token:
        assert source_at(hub, token=token).read("manifests/archives.json")
        with pytest.raises(
            FetchError, match=r"seen 401 \(Invalid username or password\.\); name another one, or a token"
        ):
            source_at(hub).read("manifests/archives.json")
        (tmp_path / "home").mkdir()
        (tmp_path / "home/token").write_text(f"{token}\n")
    assert source_at(hub).read("manifests/archives.json")
    assert hub.requests[-1].has_authorization == bool(token)


def test_a_login_that_is_no_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    os.mkfifo(tmp_path / "token")
    with pytest.raises(OSError, match=f"expected a token, or none, seen a pipe of {tmp_path}/token; set HF_TOKEN"):
        HubSource(NAME)


def test_the_token_stays_with_the_endpoint(hub: Hub, served: Repository) -> None:
    fetched(source_at(hub))  # the loopback store refuses it, too
    assert {asked.path[:5]: asked.has_authorization for asked in hub.requests} == {
        "/api/": True, f"/{NAME}"[:5]: True, "/lfs/": False,
    }  # fmt: skip


def test_a_name_in_words_is_a_hub_or_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(source_of("hub:org/name")) == "hub org/name@main"
    assert str(source_of("hub:org/name@refs/pr/1")) == "hub org/name@refs/pr/1"
    assert source_of("build") == FolderSource(Path("build"))
    assert source_of(Path("hub:a")) == FolderSource(Path("hub:a"))
    for wrong in ("hub:", "hub:name", "hub:a/b/c", "hub:../b", "hub:a/b@", "hub:a/b@x..y", "hub:a/b@x y", "hub:a/b@/x"):
        with pytest.raises(ValueError, match=r"^hub.*: expected a .*, seen '"):
            source_of(wrong)


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "ftp://localhost"},
        {"endpoint": "http://user:secret@localhost"},
        {"endpoint": "http://localhost:x"},
        {"token": "sec\nret"},
        {"connections": 0},
        {"range_bytes": 0},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_without_its_secrets(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^hub") as refused:
        HubSource(NAME, **changes)
    assert "sec" not in str(refused.value)


def test_http_is_loaded_where_it_is_used_only() -> None:
    program = "import sys, morphstream.__main__; print(sorted({'http.client', 'ssl', 'urllib3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
