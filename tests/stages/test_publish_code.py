"""Code is packed as Git would see it, the same bytes every time, and nothing that looks like a secret."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from morphstream.artifact.archive import describe
from morphstream.artifact.errors import ToolchainMismatchError
from stages.publish.code import CodeError, files_of, pack_code
from tests.stages import PARAMS, files_in

OPTIONS = PARAMS.archive
HUB_TOKEN = "hf_" + "Ab3" * 12


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder of code with ignored files in it, no repository of Git's."""
    files = {
        "main.py": "print('main')\n",
        "app/worker.py": "print('worker')\n",
        "app/.gitignore": "*.tmp\n!kept.tmp\n",
        "app/lost.tmp": "lost",
        "app/kept.tmp": "kept",
        ".gitignore": "__pycache__/\n.env\n/build/\n",
        ".env": f"HF_TOKEN={HUB_TOKEN}\n",
        "app/__pycache__/worker.pyc": "bytes",
        "build/out": "built",
        "with space/ünïcode.txt": "text",
    }
    for name, text in files.items():
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text(text, "utf-8")
    (tmp_path / "code/run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "code/run.sh").chmod(0o755)
    return tmp_path / "code"


KEPT = [
    *(".gitignore", "app/.gitignore", "app/kept.tmp", "app/worker.py", "main.py", "run.sh"),
    "with space/ünïcode.txt",
]


def git(code: Path, *arguments: str) -> None:
    names = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    subprocess.run(["git", *names, *arguments], cwd=code, check=True, capture_output=True)


def test_ignored_files_stay_out_in_a_repository_and_in_none(code: Path) -> None:
    assert files_of(code) == KEPT
    git(code, "init")
    assert files_of(code) == KEPT
    git(code, "add", ".")
    git(code, "commit", "-m", "All")
    (code / "main.py").unlink()
    assert files_of(code) == [name for name in KEPT if name != "main.py"]


def test_the_rules_of_the_repository_above_count(code: Path) -> None:
    git(code, "init")
    (code / ".gitignore").write_text("worker.py\n.env\n")
    assert files_of(code / "app") == [".gitignore", "__pycache__/worker.pyc", "kept.tmp"]


def test_what_git_tracks_counts_though_it_is_ignored(code: Path) -> None:
    git(code, "init")
    git(code, "add", "--force", "app/lost.tmp")
    assert "app/lost.tmp" in files_of(code)


def test_this_user_s_own_rules_do_not_count(code: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ignore").write_text("*.py\n")
    (tmp_path / "config").write_text(f"[core]\n\texcludesFile = {tmp_path / 'ignore'}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    assert files_of(code) == KEPT
    git(code, "init")
    (code / ".git/info").mkdir(exist_ok=True)
    (code / ".git/info/exclude").write_text("*.sh\n")
    assert files_of(code) == KEPT


def test_archives_are_the_same_for_every_tag_and_run(code: Path) -> None:
    entries = pack_code(code, ["develop", "latest"], OPTIONS, code.parent / "made")
    assert sorted(entries) == [f"deploy/{tag}/app_code.tar.zst" for tag in ("develop", "latest")]
    assert len(set(map(repr, entries.values()))) == 1
    (entry, _) = entries.values()
    assert entry.cache_key is None
    assert list(entry.files) == KEPT
    before = files_in(code.parent / "made")
    for path in code.rglob("*"):
        path.touch()
    assert pack_code(code, ["develop", "latest"], OPTIONS, code.parent / "made") == entries
    assert files_in(code.parent / "made") == before
    assert describe((code.parent / "made") / "deploy/latest/app_code.tar.zst").archive == entry.digest


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", "A=1"),
        ("prod.env", "A=1"),
        ("keys/server.pem", "x"),
        ("id_rsa", "x"),
        ("conf/id_ed25519", "x"),
        (".netrc", "x"),
        ("credentials.json", "{}"),
        ("config/secrets.yaml", "a: b"),
        (".aws/config", "x"),
        ("service-account-prod.json", "{}"),
        ("main.py", f"TOKEN = '{HUB_TOKEN}'"),
        ("main.py", "key = 'AKIA" + "ABCDEFGHIJ234567" + "'"),
        ("notes.txt", "-----BEGIN RSA " + "PRIVATE KEY-----"),
        ("main.py", "url = 'https://user:pa55word" + "@example.org/x'"),
        ("main.py", "gh = 'ghp_" + "a1B2" * 9 + "'"),
        (".env.example", f"HF_TOKEN={HUB_TOKEN}"),
    ],
)
def test_what_looks_like_a_secret_is_refused_by_name_without_its_words(code: Path, name: str, text: str) -> None:
    (code / ".gitignore").unlink()
    (code / ".env").unlink()
    (code / name).parent.mkdir(exist_ok=True)
    (code / name).write_text(text)
    with pytest.raises(CodeError) as refused:
        pack_code(code, ["develop"], OPTIONS, code.parent / "made")
    message = str(refused.value)
    assert message.startswith(f"deploy {name}: expected no secret, seen what looks like one (")
    assert message.endswith(f"or if it was reviewed run there: sha256sum {name} >> .reviewed-secrets")
    assert HUB_TOKEN not in message
    assert not (code.parent / "made").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env.example", "HF_TOKEN=\n"),
        ("secrets.py", "def looks_secret(): ...\n"),
        ("id_rsa.pub", "ssh-rsa AAAA user@host\n"),
        ("main.py", "from huggingface_hub import hf_hub_download, hf_raise_for_status\n"),
        ("main.py", f"TOKEN = '{HUB_TOKEN}'  # pragma: allowlist secret\n"),
        ("main.py", "password = os.environ['PASSWORD']\n"),
        ("data.bin", "\x00\x01"),
    ],
)
def test_what_does_not_is_packed(code: Path, name: str, text: str) -> None:
    (code / name).write_text(text)
    assert name in pack_code(code, ["develop"], OPTIONS, code.parent / "made")["deploy/develop/app_code.tar.zst"].files


def test_links_and_other_repositories_are_refused(code: Path) -> None:
    (code / "link").symlink_to("main.py")
    with pytest.raises(CodeError, match="deploy link: expected a regular file, seen a link; copy it, or add it to"):
        pack_code(code, ["develop"], OPTIONS, code.parent / "made")
    (code / "link").unlink()
    (code / "vendor").mkdir()
    git(code / "vendor", "init")
    (code / "vendor/a.py").write_text("a")
    with pytest.raises(CodeError, match="seen another repository"):
        pack_code(code, ["develop"], OPTIONS, code.parent / "made")


def test_a_repository_that_git_will_not_read_is_refused(code: Path) -> None:
    git(code, "init")
    (code / ".git/config").write_text("[core\n")
    with pytest.raises(CodeError, match=r"expected Git to list it, seen: .*config"):
        files_of(code)


def test_no_folder_no_files_no_such_tag_and_another_zstandard_are_refused(code: Path) -> None:
    with pytest.raises(CodeError, match="expected a folder of code, seen none"):
        pack_code(code / "missing", ["develop"], OPTIONS, code.parent / "made")
    (code / "empty").mkdir()
    with pytest.raises(CodeError, match="expected a file that isn't ignored, seen none"):
        pack_code(code / "empty", ["develop"], OPTIONS, code.parent / "made")
    with pytest.raises(CodeError, match="expected a tag of develop, latest, seen staging"):
        pack_code(code, ["staging"], OPTIONS, code.parent / "made")
    with pytest.raises(ToolchainMismatchError):
        pack_code(code, ["develop"], replace(OPTIONS, zstandard="0.0.1"), code.parent / "made")


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb", b"back\\slash"])
def test_a_name_that_no_archive_may_have_is_refused_in_a_line(code: Path, name: bytes) -> None:
    (code / os.fsdecode(name)).touch()
    with pytest.raises(CodeError, match=r"^deploy '.*': expected a relative path .*; rename it") as error:
        pack_code(code, ["develop"], OPTIONS, code.parent / "build")
    assert "\n" not in str(error.value)
