"""A worker that the entry point starts keeps its release until it ends, whoever deploys beside it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from morphstream.deploy.deploy import deploy
from morphstream.source.folder import FolderSource
from tests.container.conftest import TOOLS, Container, steps_of
from tests.layouts import CODE, publish_code


@contextmanager
def running(container: Container) -> Iterator[subprocess.Popen[str]]:
    """Run a worker that has imported `app`, and imports `app.late` once a file is there; at the end it is killed."""
    late = "while not os.path.exists('go'): time.sleep(0.01)"
    script = f"import app, os, time\nprint('ready', flush=True)\n{late}\nimport app.late\nprint(app.late.__file__)"
    with container.start("python", "-c", script) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def deploy_others(container: Container, code: Path) -> Path:
    """Deploy other code twice, as two more containers on this volume would; return the release that was current."""
    before = (container.app / "current").resolve()
    for text in ("two", "three"):
        publish_code(code, text)
        deploy("develop", container.app, [FolderSource(code)])
    return before


def test_a_worker_keeps_its_release_while_others_deploy_until_it_ends(container: Container, code: Path) -> None:
    publish_code(code, "one", {"app/late.py": ""})
    with running(container.with_(DEPLOY_TAG="develop")) as process:
        release = deploy_others(container, code)
        (container.folder / "go").touch()
        assert process.communicate(timeout=30)[0] == f"{release}/code/app/late.py\n"
    assert release.exists()
    deploy("develop", container.app, [FolderSource(code)])
    assert not release.exists()


def test_a_worker_that_is_killed_holds_its_release_no_more(container: Container, code: Path) -> None:
    publish_code(code, "one", {"app/late.py": ""})
    with running(container.with_(DEPLOY_TAG="develop")) as process:
        release = deploy_others(container, code)
        assert release.exists()
        process.kill()
        process.wait(30)
        deploy("develop", container.app, [FolderSource(code)])
        assert not release.exists()


def test_it_holds_what_is_current_when_it_is_locked(container: Container, code: Path) -> None:
    container.with_(DEPLOY_TAG="develop").run()
    before = (container.app / "current").readlink()
    publish_code(code, "two")
    container.run()
    stub = container.folder / "bin/python"  # that another deploys before
    stub.parent.mkdir()
    switch = f"mkdir switched 2>/dev/null && ln -sfn {before} {container.app}/current"
    stub.write_text(f'#!/bin/sh\n{switch}\nexec {sys.executable} "$@"\n')
    stub.chmod(0o755)
    done = container.with_(PATH=f"{stub.parent}:{TOOLS}").run("sh", "-c", "readlink /proc/$$/fd/* | grep /held")
    assert done.stdout == f"{container.app / before}/held\n"
    assert steps_of(done.stderr)[1] == f"deploy: release {before.name}"


def test_a_release_that_cannot_be_held_runs_with_a_line(container: Container, code: Path) -> None:
    container.with_(DEPLOY_TAG="develop").run()
    (container.app / "current/held").unlink()
    (code / CODE).unlink()
    done = container.run()
    release = (container.app / "current").resolve()
    assert (done.returncode, done.stdout) == (0, "one\n")
    said = f"hold: expected a lock on {release}/held, seen it unavailable; a deployment may remove that release"
    assert said in steps_of(done.stderr)
