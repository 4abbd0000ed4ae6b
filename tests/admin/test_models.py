"""A model is added from a path, from a file that is sent, or from the Hub, by the pipeline's own command."""

import hashlib

import pytest

from stages.admin.server import AdminServer
from stages.workspace import Workspace
from tests.admin import commands, until, write_rebuild
from tests.admin.browsing import Browser

DATA = b"weights" * 400_000  # more than is written at once


def send(browser: Browser, data: bytes, **query: str) -> int:
    """Send a file as the page's script does, and return the answer's status."""
    headers = {"Origin": browser.url, "X-CSRF-Token": browser.csrf, "Content-Type": "application/octet-stream"}
    return browser.client.post("/models/sent", params=query, content=data, headers=headers).status_code


def is_ended(server: AdminServer) -> bool:
    return bool(server.admin.jobs.all()) and server.admin.jobs.all()[0].is_ended


@pytest.mark.parametrize(
    ("field", "name", "file"),
    [
        ("file", "/data/my own.onnx", "/data/my own.onnx"),
        ("hub", "org/repo/deep/a.onnx@main", "hub:org/repo/deep/a.onnx@main"),
    ],
)
def test_a_model_of_this_machine_or_the_hub_is_added(
    server: AdminServer, browser: Browser, workspace: Workspace, field: str, name: str, file: str
) -> None:
    write_rebuild(workspace, "echo '+  mine: <b>'")
    assert browser.post("/models", {"name": "mine", "like": "xseg_1", field: name}).status_code == 200
    until(lambda: is_ended(server))
    assert commands(workspace) == [f"-m stages.add --like=xseg_1 -- mine {file}"]
    assert "<pre>+  mine: &lt;b&gt;</pre>" in browser.get("/models").text


def test_a_file_that_is_sent_is_added_and_then_removed(
    server: AdminServer, browser: Browser, workspace: Workspace
) -> None:
    write_rebuild(workspace, 'for file in "$@"; do true; done; sha256sum < "$file"; ls -A .cache/sent')
    assert send(browser, DATA, name="mine", like="") == 303
    until(lambda: is_ended(server))
    digest, name = server.admin.jobs.all()[0].output
    assert digest.split()[0] == hashlib.sha256(DATA).hexdigest()
    assert name == f"{digest[:16]}-mine.onnx"
    assert list((workspace.root / ".cache/sent").iterdir()) == []


def test_a_file_stays_where_adding_it_failed(server: AdminServer, browser: Browser, workspace: Workspace) -> None:
    write_rebuild(workspace, "echo refused >&2; exit 1")
    assert send(browser, DATA, name="mine", like="") == 303
    until(lambda: is_ended(server))
    assert [path.read_bytes() for path in (workspace.root / ".cache/sent").iterdir()] == [DATA]
    assert "refused" in browser.get("/models").text


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"name": "mine"}, "seen both or none"),
        ({"name": "mine", "file": "a", "hub": "b"}, "seen both or none"),
        ({"name": "--like", "file": "a"}, "choose another name"),
        ({"name": "mine", "file": "a", "like": "none"}, "expected a model of params.yaml"),
        ({"name": "mine", "file": "a\0b"}, "can&#39;t be printed"),
    ],
    ids=["no file", "two files", "an option for a name", "like an unknown model", "a NUL"],
)
def test_what_cannot_be_added_is_refused(
    browser: Browser, workspace: Workspace, fields: dict[str, str], line: str
) -> None:
    answer = browser.post("/models", fields)
    assert (answer.status_code, line in answer.text) == (409, True), answer.text
    assert commands(workspace) == []


def test_a_file_that_is_empty_or_has_no_good_name_leaves_nothing(browser: Browser, workspace: Workspace) -> None:
    assert send(browser, b"", name="mine") == 409
    assert send(browser, DATA, name="../mine") == 409
    assert not list(workspace.root.rglob("*mine*"))
    assert commands(workspace) == []
