"""`morphstream batch` does each job once, also after one that failed, and says what came of each."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from morphstream.artifact.errors import ManifestError
from morphstream.cli.jobs import Done, read_jobs
from morphstream.cli.main import main
from morphstream.cli.task import task_of
from morphstream.store.store import Store
from tests.cli import refusal

JOBS = """
defaults: {source: {ann: source.png}}
jobs:
- {target: source.png, output: a.png}
- {name: nobody, target: nobody.png, output: b.png}
- {name: both, target: [source.png, again.png], output: out, map: {ann: [1, right]}}
"""


@pytest.fixture
def jobs(here: Path) -> Path:
    """A file of jobs in a folder with what it names."""
    (here / "in").mkdir()
    for name, of in (("source.png", "source.png"), ("again.png", "source.png"), ("nobody.png", "nobody.png")):
        shutil.copyfile(here / of, here / "in" / name)
    (path := here / "in/jobs.yaml").write_text(JOBS)
    return path


def test_jobs_are_done_once_and_past_failures(jobs: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["batch", "in/jobs.yaml", "--store", str(booted.path)]
    assert main([*command, "--json"]) == 1
    said = json.loads(capfd.readouterr().out)
    assert {job["name"]: (job["state"], job["files"]) for job in said["jobs"]} == {
        "a.png": ("done", 1), "nobody": ("failed", 0), "both": ("done", 2),
    }  # fmt: skip
    assert said["failed"] == 1
    assert [picture["swapped"] for picture in said["jobs"][2]["pictures"]] == [1, 1]
    assert sorted(path.name for path in (jobs.parent / "out").iterdir()) == ["again.png", "source.png"]
    jobs.write_text(JOBS.replace("[1, right]", "left"))
    assert main(command) == 1
    said = capfd.readouterr()
    head, *rows, end = said.out.splitlines()
    assert head.split() == ["job", "state", "files", "seconds", "why"]
    assert [row.split()[:3] for row in rows] == [
        ["a.png", "skipped", "0"], ["nobody", "failed", "0"], ["both", "done", "2"],
    ]  # fmt: skip
    assert "in/nobody.png: expected a face to swap, seen one colour everywhere" in rows[1]
    assert end == "3 jobs: 1 done, 1 skipped, 1 failed"
    assert said.err.splitlines()[0] == "[1/3] a.png: skipped"


def test_a_job_is_done_until_its_options_inputs_or_outputs_change(jobs: Path) -> None:
    output = jobs.parent / "a.png"
    with Done(jobs) as done:
        entry = read_jobs(jobs)[0]
        assert not done.has(entry)
        task = task_of(entry.options())
        output.write_bytes(b"swapped")
        done.add(entry, task)
        assert done.has(entry)
        assert not done.has(replace(entry, data={**entry.data, "feather": 0.2}))
    with Done(jobs) as done:
        assert done.has(replace(entry, data=dict(reversed(entry.data.items()))))
        output.unlink()
        assert not done.has(entry)
        output.write_bytes(b"swapped")
        done.add(entry, task)
        os.utime(jobs.parent / "source.png", ns=(1, 1))
        assert not done.has(entry)


def test_a_job_that_was_begun_is_resumed_with_the_same_options_and_inputs_alone(jobs: Path) -> None:
    entry = read_jobs(jobs)[0]
    other, task = replace(entry, data={**entry.data, "feather": 0.2}), task_of(entry.options())
    with Done(jobs) as done:
        assert not done.begin(entry, task)
    with Done(jobs) as done:  # after a crash
        assert not done.has(entry)
        assert done.begin(entry, task)
        assert not done.begin(other, task)
        os.utime(jobs.parent / "source.png", ns=(1, 1))
        assert not done.begin(entry, task)


def test_only_one_process_is_at_work_on_jobs(jobs: Path) -> None:
    with Done(jobs), pytest.raises(ManifestError, match="expected no other batch at work on it, seen one"):
        Done(jobs)
    Done(jobs).__exit__()


def test_what_is_done_is_not_guessed(jobs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (path := jobs.with_name("jobs.done.json")).write_text("{}")
    assert "in/jobs.done.json: expected 1, the version this release reads" in refusal(capfd, "batch", "in/jobs.yaml")
    entry = read_jobs(jobs)[0]
    states: list[object] = [1, {"inputs": 1, "outputs": {}}, {"inputs": {}}, {"inputs": {}, "outputs": {"a.png": 1}}]
    for state in states:
        path.write_text(json.dumps({"format_version": 1, "jobs": {entry.key: state}}))
        with Done(jobs) as done:
            assert not done.has(entry)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jobs: []", "expected a job, seen none"),
        ("jobs: [a.png]", "expected an object with options in 'jobs[0]'"),
        ("job: []", "expected defaults and jobs alone, seen another key in 'job'"),
        ("jobs: [{name: x, output: a.png, fast: true}]", "unrecognized arguments: --fast in 'jobs[0]'"),
        ("jobs: [{name: x, target: a.png}]", "the following arguments are required: -o/--output in 'jobs[0]'"),
        ("jobs: [{output: a.png, feather: 2}]", "argument --feather: expected a number from 0 to 0.5, seen '2' in"),
        ("jobs: [{output: a.png}]", "the following arguments are required: source, target in 'jobs[0]'"),
        (
            "jobs: [{target: a.png, source: b.png, output: c.png, map: {c: 1}}]",
            "expected the name of one source, of b,",
        ),
        ("jobs: [{output: a.png, quality: {a: 1}}]", "expected a whole number from 0 to 255, seen 'a=1'"),
    ],
    ids=[
        "none",
        "a name",
        "an unknown key",
        "an unknown option",
        "no output",
        "a value",
        "no target",
        "no source",
        "an object",
    ],
)
def test_a_file_with_a_job_that_cannot_be_is_refused_before_the_first(tmp_path: Path, text: str, expected: str) -> None:
    (path := tmp_path / "jobs.yaml").write_text(text)
    with pytest.raises(ManifestError, match=re.escape(expected)) as caught:
        read_jobs(path)
    assert str(caught.value).startswith(f"{path}: ")
