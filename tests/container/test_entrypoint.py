"""The entry point boots, deploys and becomes its command, whatever fails; with nothing else around it here."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from morphstream.artifact.digest import Digest
from morphstream.store.store import Store
from tests.container.conftest import ENTRYPOINT, TOOLS, Container, steps_of
from tests.layouts import CODE, publish_code, release_of, replace_entry

READ_ONLY = """
while read -r _ place kind _; do
  case $kind in proc|sysfs|cgroup*|devpts|mqueue) ;; *) mount -o remount,bind,ro "$place" || true ;; esac
done < /proc/mounts 2>/dev/null
if touch "$PWD/writable" 2>/dev/null; then echo "this is writable: $PWD" >&2; exit 99; fi
mount --bind "$1" "$1" && mount -o "remount,bind,$2" "$1" || exit 99
shift 2
exec "$@"
"""


def wait_for(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_boots_deploys_and_becomes_the_application(container: Container) -> None:
    done = container.with_(DEPLOY_TAG="develop", DEPLOY_CHECK="python -m app").run()
    release = (container.app / "current").readlink().name
    assert (done.returncode, done.stdout) == (0, "one\n")
    assert steps_of(done.stderr) == [
        f"boot: {container.state}/store is good",
        f"deploy: release {release}",
        "exec: python -m app",
    ]
    assert Store(container.state / "store").current().archive


def test_a_second_start_finds_all_of_it_there_and_a_third_newer_code(container: Container, code: Path) -> None:
    container.with_(DEPLOY_TAG="develop").run()
    assert "was current already" in container.run().stderr
    publish_code(code, "two")
    assert container.run().stdout == "two\n"


def test_the_command_is_the_same_process_with_the_code_first_on_its_path(container: Container) -> None:
    script = "import app, os, sys; print(os.getpid(), app.__file__, os.environ['PYTHONPATH'], *sys.argv[1:], sep='|')"
    container.with_(DEPLOY_TAG="develop", PYTHONPATH="/elsewhere")
    process = container.start("python", "-c", script, "a b", "$HOME", "")
    said, _ = process.communicate(timeout=60)
    release = (container.app / "current/code").resolve()
    assert said == f"{process.pid}|{release}/app/__init__.py|{release}:/elsewhere|a b|$HOME|\n"


def test_without_a_tag_no_code_is_deployed(container: Container) -> None:
    done = container.run("sh", "-c", "echo ${PYTHONPATH-none}")
    assert done.stdout == "none\n"
    assert steps_of(done.stderr)[1] == "deploy: DEPLOY_TAG is not set, no code is deployed"
    assert not container.app.exists()


@pytest.mark.parametrize("name", ["HF_TOKEN", "MORPHSTREAM_TOKEN"])
def test_a_token_comes_from_a_file_and_is_not_said(container: Container, name: str) -> None:
    (container.folder / "secret").write_text("secret_of_a_file\n")
    file = {f"{name}_FILE": str(container.folder / "secret")}
    done = container.with_(**file).run("sh", "-c", f'echo "${name}"')
    assert done.stdout == "secret_of_a_file\n"
    assert "secret_of_a_file" not in done.stderr
    done = container.with_(**{f"{name}_FILE": str(container.folder / "none")}).run("true")
    assert done.returncode == 1
    assert done.stderr.startswith(f"entrypoint: token: {container.folder}/none: expected a readable file")


def test_the_exit_code_of_the_command_is_kept(container: Container) -> None:
    assert container.run("sh", "-c", "exit 37").returncode == 37


def test_without_engines_the_command_does_not_run(container: Container) -> None:
    done = container.with_(MORPHSTREAM_SOURCE="/nowhere").run("echo", "it runs")
    assert (done.returncode, done.stdout) == (1, "")
    assert "morphstream boot: /nowhere: expected manifests/archives.json" in done.stderr
    assert steps_of(done.stderr) == ["boot: failed for target cpu, exit 1"]


def test_an_unknown_tag_is_wrong_usage_and_the_command_runs(container: Container) -> None:
    done = container.with_(DEPLOY_TAG="../latest").run("echo", "it runs")
    assert done.stdout == "it runs\n"
    (_, deployed, _) = steps_of(done.stderr)
    assert deployed == "deploy: failed with exit 2, there is no previous release, continuing without one"


@pytest.mark.parametrize("fault", ["a digest", "a check"])
def test_bad_code_leaves_the_release_before(container: Container, code: Path, fault: str) -> None:
    container.with_(DEPLOY_TAG="develop").run()
    before = (container.app / "current").readlink().name
    entry = publish_code(code, "two")
    if fault == "a digest":
        replace_entry(code, CODE, replace(entry, digest=Digest("0" * 64, entry.digest.bytes)))
    else:
        container.with_(DEPLOY_CHECK="python -c 'import app; raise SystemExit(app.no_such_thing)'")
    done = container.run()
    assert (done.returncode, done.stdout) == (0, "one\n")
    said = f"deploy: failed with exit 1, continuing with the previous release {before}"
    assert steps_of(done.stderr)[1] == said
    assert sum(line.startswith("morphstream deploy: ") for line in done.stderr.splitlines()) == 1
    assert [release.name for release in (container.app / "releases").iterdir()] == [before]


def test_bad_first_code_ends_it_only_where_code_is_required(container: Container) -> None:
    container.with_(DEPLOY_TAG="develop", DEPLOY_CHECK="sh -c 'exit 4'")
    assert container.run("echo", "it runs").stdout == "it runs\n"
    done = container.with_(DEPLOY_REQUIRED="1").run("echo", "it runs")
    assert (done.returncode, done.stdout) == (1, "")
    assert not (container.app / "current").is_symlink()


def test_a_signal_reaches_the_command(container: Container) -> None:
    process = container.start("sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done")
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 5


@pytest.mark.parametrize(("number", "code_of"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"])
def test_a_signal_ends_a_boot(container: Container, number: signal.Signals, code_of: int) -> None:
    stub = container.folder / "bin/morphstream"  # that takes its time, as a download would
    stub.parent.mkdir()
    script = "trap 'touch told; exit 9' TERM; touch began; while :; do sleep 0.01; done"
    stub.write_text(f"#!/bin/sh\n{script}\n")
    stub.chmod(0o755)
    process = container.with_(PATH=f"{stub.parent}:{TOOLS}").start("echo", "it runs")
    wait_for((container.folder / "began").exists)
    process.send_signal(number)
    said, errors = process.communicate(timeout=30)
    assert (process.returncode, said) == (code_of, "")
    assert (container.folder / "told").exists()
    assert steps_of(errors) == [f"boot: stopped by a signal, exit {code_of}"]


def test_a_signal_ends_a_check_and_leaves_nothing(container: Container) -> None:
    pid_file = container.folder / "pid"
    container.with_(
        DEPLOY_TAG="develop", DEPLOY_CHECK=f"sh -c 'echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 60'"
    )
    process = container.start("echo", "it runs")
    wait_for(pid_file.exists)
    process.terminate()
    said, _ = process.communicate(timeout=30)
    assert (process.returncode, said) == (143, "")
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()
    assert sorted(path.name for path in container.app.rglob("*")) == [".lock", "releases"]


def can_mount() -> bool:
    command = ["unshare", "--mount", "--map-root-user", "mount", "--bind", "/tmp", "/tmp"]  # noqa: S108 - itself
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="this system lets tests mount nothing (unshare --mount)")
def test_it_writes_to_its_volume_alone_and_to_nothing_when_that_is_read_only(container: Container, code: Path) -> None:
    def run_with(volume: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", READ_ONLY, "sh", str(container.state), volume, str(ENTRYPOINT), *arguments]
        return subprocess.run(
            ["unshare", "--mount", "--map-root-user", *command],
            env=container.environment,
            cwd=container.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    container.with_(DEPLOY_TAG="develop", DEPLOY_CHECK="python -m app")
    first = run_with("rw")
    assert (first.returncode, first.stdout) == (0, "one\n"), first.stderr
    held = run_with("ro", "sh", "-c", "readlink /proc/$$/fd/* | grep -c /held")
    assert (held.returncode, held.stdout) == (0, "1\n"), held.stderr
    again = run_with("ro")
    assert (again.returncode, again.stdout) == (0, "one\n"), again.stderr
    assert "refused" not in again.stderr
    assert "boot.json: expected a writable file, seen Read-only file system; continuing without it" in again.stderr
    publish_code(code, "two")
    newer = run_with("ro")
    assert (newer.returncode, newer.stdout) == (0, "one\n"), newer.stderr
    assert "seen Read-only file system" in newer.stderr
    assert release_of(container.app) == "print('one')\n"
