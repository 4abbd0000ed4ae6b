"""The page of history says which commits changed the manifests, and what is new, gone or another with each."""

import json
import os
import subprocess
from collections.abc import Mapping

from stages.workspace import Workspace
from tests.admin.browsing import Browser

CACHE = "trt_cache/sm89/rtx1.7_ort1.31"


def git(workspace: Workspace, *arguments: str) -> None:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgSign=false")
    subprocess.run(["git", *who, *arguments], cwd=workspace.root, env=inherited, check=True, capture_output=True)


def commit(workspace: Workspace, subject: str, models: Mapping[str, str], engines: Mapping[str, str]) -> None:
    """Commit manifests that name digests."""
    files = {f"{CACHE}/{name}": {"sha256": digest} for name, digest in engines.items()}
    archive = {"rtx.tar.zst": {"sha256": "a" * 64, "files": files}}
    entries = {name: {"sha256": digest} for name, digest in models.items()}
    workspace.tracked.mkdir(exist_ok=True)
    (workspace.tracked / "models.json").write_text(json.dumps({"models": entries}), "utf-8")
    (workspace.tracked / "archives.json").write_text(json.dumps({"archives": archive}), "utf-8")
    git(workspace, "add", "manifests")
    git(workspace, "commit", "--message", subject)


def test_what_each_commit_changed_is_said(browser: Browser, workspace: Workspace) -> None:
    git(workspace, "init", "--quiet")
    commit(workspace, "Begin", {"gone": "1" * 64, "other": "2" * 64}, {"11_gone.bin": "1", "22_other_ctx.onnx": "2"})
    commit(workspace, "Move <on>", {"other": "3" * 64, "new": "4" * 64}, {"33_other_ctx.onnx": "3", "4_new.bin": "4"})
    git(workspace, "commit", "--allow-empty", "--message", "Change another thing")
    page = browser.get("/history").text
    assert "Change another thing" not in page
    newest, oldest = page.split("<tbody>")[1].split("<tr>")[1:]
    assert "Move &lt;on&gt; (6)" in newest
    assert "Ada" in newest
    for line in (
        "model gone: removed",
        "model new: added, sha256 444444444444",
        "model other: changed, sha256 222222222222 to 333333333333",
        "engines for sm89/rtx1.7_ort1.31: removed gone",
        "engines for sm89/rtx1.7_ort1.31: changed other",
        "engines for sm89/rtx1.7_ort1.31: added new",
    ):
        assert f"<li>{line}</li>" in newest, line
    assert "engines for sm89/rtx1.7_ort1.31: added gone, other" in oldest
    assert "archive rtx.tar.zst: added" in oldest


def test_a_manifest_that_is_none_changes_nothing_else(browser: Browser, workspace: Workspace) -> None:
    git(workspace, "init", "--quiet")
    commit(workspace, "Begin", {"a": "1" * 64}, {})
    (workspace.tracked / "models.json").write_text("[", "utf-8")
    git(workspace, "commit", "--all", "--message", "Break it")
    assert "<li>model a: removed</li>" in browser.get("/history").text


def test_a_folder_without_commits_is_refused(browser: Browser) -> None:
    answer = browser.get("/history")
    assert (answer.status_code, "expected a repository of Git&#39;s" in answer.text) == (409, True)
