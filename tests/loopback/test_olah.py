"""What the loopback hub wrote is read alike by an independent server: olah, a mirror of the Hub, without a network."""

import contextlib
import os
import socket
import subprocess
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_hf_file_metadata, hf_hub_url
from huggingface_hub.hf_api import RepoFile

from morphstream.artifact.digest import digest_of
from stages.hub.download import download
from stages.hub.repository import Repository
from tests.loopback.server import WRITE_TOKEN, Hub

pytestmark = pytest.mark.network

OLAH = "olah==0.5.4"
NAME = "org/name"
FILES = {
    "README.md": b"---\nlicense: mit\n---\n# A card\n",
    "empty": b"",
    "models/deep/b.bin": b"\0weights" * 500_000,
    "models/a.onnx": os.urandom(3_000_000),
    "notes.txt": b"a line of text\n" * 1000,
}
STARTUP_S = 60


@pytest.fixture(scope="module")
def olah(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install olah in an environment of its own, and return its program."""
    folder = tmp_path_factory.mktemp("olah") / "venv"
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", OLAH], check=True)
    return folder / "bin/olah-cli"


@contextlib.contextmanager
def mirror(olah: Path, root: Path, work: Path) -> Iterator[str]:
    """Serve a folder of repositories with olah, offline, and give its address."""
    work.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (work / "olah.toml").write_text(
        f'[basic]\nhost = "127.0.0.1"\nport = {port}\nrepos-path = "{work}/cache"\nmirrors-path = ["{root}"]\n'
        "[accessibility]\noffline = true\n"
    )
    command = [str(olah), "--config", str(work / "olah.toml"), "--log-path", str(work / "logs")]
    with (work / "output").open("wb") as output:
        server = subprocess.Popen(command, cwd=work, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(port, server, work / "output")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes], output: Path) -> None:
    """Wait until a server accepts connections."""
    end = time.monotonic() + STARTUP_S
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    pytest.fail(f"olah did not start: {output.read_text()}")


def seen(api: HfApi, commit: str, target: Path) -> dict[str, tuple[bytes, int, str | None, str | None]]:
    """Return the bytes, size, etag and commit of each file of a revision, as the client gets them."""
    found = {}
    for entry in api.list_repo_tree(NAME, recursive=True, revision=commit):
        if isinstance(entry, RepoFile):
            url = hf_hub_url(NAME, entry.path, revision=commit, endpoint=api.endpoint)
            metadata = get_hf_file_metadata(url, token=api.token)
            path = Path(api.hf_hub_download(NAME, entry.path, revision=commit, local_dir=target))
            assert metadata.size == entry.size == path.stat().st_size
            found[entry.path] = (path.read_bytes(), metadata.size, metadata.etag, metadata.commit_hash)
    return found


def test_every_file_of_every_commit_has_the_same_bytes_size_and_commit(
    hub: Hub, olah: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = HfApi(hub.endpoint, token=WRITE_TOKEN)
    ours.create_repo(NAME, private=True)
    added = [CommitOperationAdd(path, data) for path, data in FILES.items()]
    second = ours.create_commit(NAME, added, commit_message="Add").oid
    deleted = CommitOperationDelete("models/deep/", is_folder=True)
    changed = CommitOperationAdd("notes.txt", b"other")
    third = ours.create_commit(NAME, [deleted, changed], commit_message="Change").oid
    kept = {path: data for path, data in FILES.items() if not path.startswith("models/deep/")}
    expected = {second: FILES, third: {**kept, "notes.txt": b"other"}}

    with mirror(olah, hub.root, tmp_path / "olah") as endpoint:
        theirs = HfApi(endpoint, token=False)
        assert theirs.model_info(NAME, revision="main").sha == ours.model_info(NAME).sha == third
        for commit, files in expected.items():
            here = seen(ours, commit, tmp_path / "ours" / commit)
            there = seen(theirs, commit, tmp_path / "theirs" / commit)
            assert there == here
            assert {path: data for path, (data, *_) in here.items() if path != ".gitattributes"} == files
        monkeypatch.delenv("HF_TOKEN")
        repository = Repository(NAME, endpoint=endpoint)
        assert repository.commit_of("main") == third
        for path, data in expected[second].items():
            target = tmp_path / "fetched" / path
            download(repository.source(second), path, digest_of(data), target)  # as the pipeline fetches
            assert target.read_bytes() == data
