"""Code is deployed whole and checked, or the release before stays, whatever fails and whenever it is killed."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.kill_deploy import kill_deploys
from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import DigestMismatchError, FetchError
from morphstream.deploy.deploy import Check, DeployError, deploy
from morphstream.deploy.releases import HELD
from morphstream.source.folder import FolderSource
from morphstream.store.volume import exclusive_lock, shared_lock
from tests.layouts import CODE, leave_killed, publish_code, release_of, replace_entry

ONE, TWO, THREE = (f"print('{text}')\n" for text in ("one", "two", "three"))


def put(app: Path, root: Path, check: str = "", timeout_s: float = 60.0) -> bool:
    return deploy("develop", app, [FolderSource(root)], check=Check.parse(check, timeout_s)).is_new


def releases_of(app: Path) -> set[str]:
    return {release.name for release in (app / "releases").iterdir()}


def linked_of(app: Path) -> set[str]:
    links = [app / link for link in ("current", "previous")]
    return {link.readlink().name for link in links if link.is_symlink()}


def test_code_is_deployed_and_named_by_its_tar(code: Path, app: Path) -> None:
    entry = publish_code(code, "one")
    done = deploy("develop", app, [FolderSource(code)])
    assert done.release == app / "releases" / entry.tar_digest.sha256[:16]
    assert (app / "current").resolve() == done.release
    assert not (app / "current").readlink().is_absolute()
    assert str(done) == f"{CODE} from {code}: release {done.release.name} switched to"


def test_the_release_before_is_kept_and_older_ones_are_removed(code: Path, app: Path) -> None:
    for text in ("one", "two", "three"):
        publish_code(code, text)
        assert put(app, code)
    assert release_of(app) == THREE
    assert (app / "previous/code/app/__main__.py").read_text() == TWO
    assert releases_of(app) == linked_of(app)


def test_the_same_code_again_touches_nothing_on_a_volume_that_another_has_locked(code: Path, app: Path) -> None:
    put(app, code)
    before = sorted((path, path.lstat().st_mtime_ns) for path in app.rglob("*") if path.name != ".lock")
    with exclusive_lock(app / ".lock", 0):
        assert not put(app, code)
    assert sorted((path, path.lstat().st_mtime_ns) for path in app.rglob("*") if path.name != ".lock") == before


def test_a_release_that_a_process_uses_stays_until_the_next_deployment_after_it(
    code: Path, app: Path, tmp_path: Path
) -> None:
    put(app, code)
    used = (app / "current").resolve()
    with shared_lock(used / HELD):
        for text in ("two", "three"):
            publish_code(code, text)
            put(app, code)
        assert releases_of(app) == {used.name, *linked_of(app)}
        assert (used / "code/app/__main__.py").read_text() == ONE
        publish_code(one := tmp_path / "one", "one")
        put(app, one)  # the release that is used, and no copy
        assert (app / "current").resolve() == used
        for text in ("two", "three"):
            publish_code(code, text)
            put(app, code)
    assert not put(app, code)
    assert releases_of(app) == linked_of(app)


def test_a_release_that_cannot_be_held_is_unpacked_anew(code: Path, app: Path) -> None:
    put(app, code)
    (app / "current" / HELD).unlink()
    assert put(app, code)
    assert (app / "current" / HELD).is_file()
    assert releases_of(app) == linked_of(app)


def test_what_a_killed_one_left_goes_with_the_next_deployment_of_the_same_code(code: Path, app: Path) -> None:
    put(app, code)
    leave_killed(app, "releases", "held")
    assert not put(app, code)
    assert sorted(path.name for path in app.iterdir()) == [".lock", "current", "releases"]
    assert releases_of(app) == {(app / "current").readlink().name}


def test_a_step_back_reads_no_archive(code: Path, app: Path, tmp_path: Path) -> None:
    put(app, code)
    publish_code(newer := tmp_path / "newer", "two")
    put(app, newer)
    (code / CODE).unlink()
    assert put(app, code)
    assert release_of(app) == ONE
    assert (app / "previous/code/app/__main__.py").read_text() == TWO


@pytest.mark.parametrize("damage", ["other bytes", "a file too many", "a file too few"])
def test_a_damaged_release_is_unpacked_anew_beside_it(code: Path, app: Path, damage: str) -> None:
    put(app, code)
    target = {"a file too many": "app/more.py"}.get(damage, "app/__main__.py")
    (app / "current/code" / target).write_text("print('odd')\n")
    if damage == "a file too few":
        (app / "current/code" / target).unlink()
    damaged = (app / "current").readlink().name
    assert put(app, code)
    assert release_of(app) == ONE
    assert releases_of(app) == {f"{damaged}.1"}


def test_a_check_runs_in_a_copy_of_the_new_release_while_the_one_before_is_current(code: Path, app: Path) -> None:
    put(app, code)
    publish_code(code, "two")
    script = "import app.__main__ as app, os; open('{}', 'w').write(app.__file__ + ' ' + os.readlink('{}'))"
    message, before = app.parent / "message", (app / "current").readlink()
    put(app, code, check=f'python -c "{script.format(message, app / "current")}"')
    file, linked = message.read_text().split(" ")
    assert Path(file).is_relative_to(app)
    assert not Path(file).is_relative_to((app / "current").resolve())
    assert linked == str(before)


@pytest.mark.parametrize(
    "check",
    [
        "rm -rf ../code",
        "echo bad > app/__main__.py",
        "touch log",
        "chmod 0 app/__main__.py",
        "rm -r *; ln -s / app",
    ],
    ids=["removes", "alters", "adds", "locks", "links"],
)
def test_what_a_check_writes_beside_its_code_is_not_in_the_release(code: Path, app: Path, check: str) -> None:
    put(app, code, check=f"sh -c '{check}'")
    assert release_of(app) == ONE
    assert sorted(path.name for path in (app / "current/code").rglob("*")) == ["__init__.py", "__main__.py", "app"]
    assert sorted(path.name for path in app.iterdir()) == [".lock", "current", "releases"]


@pytest.mark.parametrize(
    ("check", "seen"),
    [
        ("rm -r {}/code", "code/app/__init__.py removed, code/app/__main__.py removed"),
        ("echo bad > {}/code/app/__main__.py", "code/app/__main__.py altered"),
        ("touch {}/code/log", "code/log added"),
        (
            "cd {}/code/app && mv __main__.py ../../../../mine && ln -s ../../../../mine __main__.py",
            "code/app/__main__.py altered",
        ),
        ("rm -r {}", "code/app/__init__.py removed, code/app/__main__.py removed, held removed"),
        ("cd {}/code && touch 1 2 3 4 5", "code/1 added, code/2 added, code/3 added and 2 more"),
    ],
    ids=["removes", "alters", "adds", "links", "removes all", "adds many"],
)
def test_a_check_that_changes_the_release_itself_is_refused_with_what_changed(
    code: Path, app: Path, check: str, seen: str
) -> None:
    put(app, code)
    release = app / "releases" / publish_code(code, "two").tar_digest.sha256[:16]
    with pytest.raises(DeployError, match=f"expected the release as it was verified, seen {seen}; have it write else"):
        put(app, code, check=f"sh -c '{check.format(release)}'")
    assert release_of(app) == ONE
    assert releases_of(app) == linked_of(app) == {(app / "current").readlink().name}


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_check_has_a_time_that_can_pass(seconds: float) -> None:
    with pytest.raises(ValueError, match=f"^check: expected seconds above 0, seen {seconds}$"):
        Check(("true",), seconds)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("sh -c 'exit 3'", "expected exit 0, seen exit 3"),
        ("sh -c 'kill -9 $$'", "expected exit 0, seen signal 9"),
        ("sleep 60", "expected its end within 0.2 s, seen none"),
        ("no-such-program", "expected a program, seen No such file or directory"),
    ],
    ids=["it fails", "it is killed", "it takes too long", "it isn't there"],
)
def test_a_release_that_fails_its_check_is_rolled_back(code: Path, app: Path, check: str, message: str) -> None:
    put(app, code)
    publish_code(code, "two")
    with pytest.raises(DeployError, match=message):
        put(app, code, check=check, timeout_s=0.2 if check == "sleep 60" else 60)
    assert release_of(app) == ONE
    assert len(releases_of(app)) == 1
    assert not (app / "previous").is_symlink()


def test_what_a_check_started_ends_with_it(code: Path, app: Path) -> None:
    pid_file = app.parent / "pid"
    put(app, code, check=f"sh -c 'sleep 60 & echo $! > {pid_file}'")
    deadline = time.monotonic() + 10
    while is_running(int(pid_file.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_other_bytes_than_the_manifest_says_are_refused(code: Path, app: Path) -> None:
    put(app, code)
    entry = publish_code(code, "two")
    replace_entry(code, CODE, replace(entry, digest=Digest("0" * 64, entry.digest.bytes)))
    with pytest.raises(DigestMismatchError):
        put(app, code)
    assert release_of(app) == ONE
    assert sorted(path.name for path in app.iterdir()) == [".lock", "current", "releases"]


def test_the_next_source_is_asked_where_one_has_no_code(code: Path, app: Path, tmp_path: Path) -> None:
    others = [FolderSource(tmp_path / "none"), FolderSource(tmp_path / "engines"), FolderSource(code)]
    shutil.copytree(code, tmp_path / "engines", symlinks=True)
    (tmp_path / "engines" / CODE).unlink()
    assert deploy("develop", app, others).is_new


def test_a_tag_without_code_is_refused_by_name(code: Path, app: Path) -> None:
    with pytest.raises(DeployError, match=r"expected deploy/latest/app_code\.tar\.zst in archives\.json, seen no such"):
        deploy("latest", app, [FolderSource(code)])
    with pytest.raises(FetchError):
        put(app, code.parent)


@pytest.mark.parametrize(("tag", "sources"), [("other", ["."]), ("develop", [])], ids=["no such tag", "no source"])
def test_the_callers_mistakes_are_value_errors(app: Path, tag: str, sources: Sequence[str]) -> None:
    with pytest.raises(ValueError, match="expected a tag of develop, latest and a source"):
        deploy(tag, app, [FolderSource(Path(source)) for source in sources])


def test_a_check_that_is_no_command_is_refused_before_a_deployment() -> None:
    assert Check.parse("sh -c 'exit 3'", 5.0) == Check(("sh", "-c", "exit 3"), 5.0)
    with pytest.raises(ValueError, match=r"^check: expected a command in a shell's words, seen \"sh 'x\": No closing"):
        Check.parse("sh 'x")


def test_of_two_deployments_one_waits_for_the_other(code: Path, app: Path) -> None:
    app.mkdir()
    with exclusive_lock(app / ".lock", 0), pytest.raises(TimeoutError, match=r"expected its lock within 0\.1 s"):
        deploy("develop", app, [FolderSource(code)], lock_timeout_s=0.1)
    assert not (app / "current").is_symlink()


def test_kills_at_any_moment_leave_whole_releases_and_nothing_else(tmp_path: Path) -> None:
    met = kill_deploys(tmp_path, times=10, seed=14)
    assert met["found a staging folder"], "no kill met a deployment"
    assert met["killed while a release is held"]
