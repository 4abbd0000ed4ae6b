"""The files for GitHub's and GitLab's CI are valid, do the same, and refuse to release what isn't ready.

`bench.ci_files` runs their commands in fresh clones.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import morphstream
from tests.stages import PARAMS, ROOT

BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
GITLAB = ROOT / ".gitlab-ci.yml"
OF_GITHUB = ("gh release create",)  # what GitLab has no program for in an image of Python
VALUES = {'"$GITHUB_REF_NAME"': "TAG", '"$CI_COMMIT_TAG"': "TAG", '"$TARGET"': "TARGET", '"$CI_JOB_NAME"': "TARGET"}


def jobs_of(path: Path) -> dict[str, dict[str, Any]]:
    """Return the jobs of a file of GitHub's or GitLab's, by name."""
    document = yaml.safe_load(path.read_text("utf-8"))
    if path == GITLAB:
        return {name: job for name, job in document.items() if isinstance(job, dict) and name != "default"}
    return dict(document["jobs"])


def commands_of(job: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a job runs, in the same words for both."""
    for line in [*job.get("script", ()), *(step["run"] for step in job.get("steps", ()) if "run" in step)]:
        command = line.removeprefix("HF_TOKEN=${HF_READ_TOKEN:-} ")
        for value, word in VALUES.items():
            command = command.replace(value, word)
        yield command


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, check=False)


def test_the_files_are_what_their_schemas_ask_for(tmp_path: Path) -> None:
    github = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows")
    gitlab = (*github[:-1], "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    for done in (run(*github, *WORKFLOWS), run(*gitlab, GITLAB)):
        assert done.returncode == 0, done.stdout
    (tmp_path / "odd.yml").write_text("jobs: {a: {steps: 1}}\n")
    assert run(*github, tmp_path / "odd.yml").returncode == 1


def test_no_workflow_gives_a_stranger_more_than_he_needs() -> None:
    done = run(BIN / "zizmor", "--offline", "--no-progress", ".github")
    assert done.returncode == 0, done.stdout
    for path in WORKFLOWS:
        for name, job in jobs_of(path).items():
            assert "timeout-minutes" in job, f"{path.name}: {name}"


def test_github_and_gitlab_run_the_same_commands_which_are_there() -> None:
    github = {command for path in WORKFLOWS for job in jobs_of(path).values() for command in commands_of(job)}
    gitlab = {command for job in jobs_of(GITLAB).values() for command in commands_of(job)}
    assert {command for command in github if not command.startswith(OF_GITHUB)} == gitlab
    assert {command.split()[0] for command in gitlab} == {f".ci/{path.name}" for path in (ROOT / ".ci").iterdir()}
    for path in (ROOT / ".ci").iterdir():
        assert os.access(path, os.X_OK), path


def test_every_gpu_that_engines_are_built_for_has_a_job() -> None:
    targets = {name for name in PARAMS.builds if name.startswith("rtx-")}
    executing = {name: job for name, job in jobs_of(GITLAB).items() if job.get("extends") == ".gpu"}
    assert set(executing) == targets
    assert all(job["tags"] == [name] for name, job in executing.items())
    assert jobs_of(ROOT / ".github/workflows/gpu.yml")["execute"]["runs-on"][-1] == "${{ matrix.target }}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a release is made of, which is set up already."""
    for name in (".ci/release", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "runtime"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    (tmp_path / "Makefile").write_text(".venv/pipeline: ;\n")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def test_a_release_has_its_packages_and_what_changed(checkout: Path) -> None:
    version, changes = morphstream.__version__, checkout / "CHANGELOG.md"
    changes.write_text(re.sub(r"\[Unreleased\]", f"[{version}] - 2026-12-24", changes.read_text("utf-8"), count=1))
    done = run(checkout / ".ci/release", f"v{version}", cwd=checkout)
    assert done.returncode == 0, done.stderr
    names = {f"morphstream-{version}-py3-none-any.whl", f"morphstream-{version}.tar.gz", "notes.md"}
    assert {path.name for path in (checkout / "dist").iterdir()} == names
    assert (checkout / "dist/notes.md").read_text("utf-8").startswith("\n### Artifacts\n")


def test_a_tag_of_another_version_releases_nothing(checkout: Path) -> None:
    done = run(checkout / ".ci/release", "v9.9.9", cwd=checkout)
    expected = f"expected v{morphstream.__version__}, as runtime/morphstream/__init__.py says; correct one of them"
    assert (done.returncode, done.stderr) == (1, f".ci/release: v9.9.9: {expected}\n")
    assert not (checkout / "dist").exists()


def test_a_version_that_the_changelog_lacks_releases_nothing(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\nmuch\n\n## [0.0.9]\n\nlittle\n")
    done = run(checkout / ".ci/release", f"v{morphstream.__version__}", cwd=checkout)
    assert done.returncode == 1
    assert "CHANGELOG.md: expected a section" in done.stderr
    assert not (checkout / "dist").exists()


def test_what_was_built_before_is_no_rebuild(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / "build").mkdir()
    shutil.copy(ROOT / ".ci/artifacts", tmp_path / ".ci/artifacts")
    done = run(tmp_path / ".ci/artifacts", "rebuild", cwd=tmp_path)
    assert done.returncode == 1
    assert "expected a fresh clone, seen .dvc/cache or build; run: git clone . FOLDER" in done.stderr
