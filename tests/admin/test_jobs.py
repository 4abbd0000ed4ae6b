"""Jobs run one after the other, none twice; they are cancelled, started again, and say why they failed."""

import asyncio
import os
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stages.admin.job import Job
from stages.admin.jobs import JobError, Jobs

WAIT = "sleep 60 & wait"


@dataclass
class Told:
    """What jobs told of themselves."""

    states: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def changed(self, job: Job) -> None:
        """Note a job's state."""
        self.states.append(f"{job.title} {job.state}")

    def logged(self, _: Job, line: str) -> None:
        """Note a line."""
        self.lines.append(line)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


def with_jobs(folder: Path, use: Callable[[Jobs, Told], Coroutine[None, None, None]], grace_s: float = 60) -> None:
    """Call a function with jobs that run shell scripts, while they run; then end them."""

    async def run() -> None:
        told = Told()
        shell = ("/bin/sh", "-c")
        jobs = Jobs(
            folder, interpreter=shell, changed=told.changed, logged=told.logged, hidden=["hf_x", ""], grace_s=grace_s
        )
        running = asyncio.create_task(jobs.run())
        try:
            await use(jobs, told)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert all(job.is_ended or job.state == "waiting" for job in jobs.all())

    asyncio.run(run())


def test_they_run_one_after_the_other_in_their_order(tmp_path: Path) -> None:
    async def use(jobs: Jobs, told: Told) -> None:
        for name in "abc":
            jobs.start(name, [f"mkdir running && echo {name} && rmdir running"], who="Ada")
        await until(lambda: all(job.is_ended for job in jobs.all()))
        assert told.lines == ["a", "b", "c"]
        assert told.states == [
            *(f"{name} waiting" for name in "abc"),
            *(f"{name} {state}" for name in "abc" for state in ("running", "done")),
        ]
        assert [(job.number, job.who, job.code) for job in jobs.all()] == [(3, "Ada", 0), (2, "Ada", 0), (1, "Ada", 0)]

    with_jobs(tmp_path, use)


def test_one_that_waits_or_runs_is_not_started_twice(tmp_path: Path) -> None:
    async def use(jobs: Jobs, _: Told) -> None:
        first, second = (jobs.start(name, [f"echo {name}; {WAIT}"], who="Ada") for name in "ab")
        await until(lambda: first.log)
        assert [jobs.start(name, [f"echo {name}; {WAIT}"], who="Bob") for name in "abab"] == [first, second] * 2
        assert len(jobs.all()) == 2
        with pytest.raises(JobError, match="seen one that is running; cancel it first"):
            jobs.retry(first.number, who="Bob")

    with_jobs(tmp_path, use)


def test_one_is_cancelled_while_it_waits_or_runs_and_started_again(tmp_path: Path) -> None:
    async def use(jobs: Jobs, _: Told) -> None:
        first, second = (jobs.start(name, [f"echo {name}; {WAIT}"], who="Ada") for name in "ab")
        await until(lambda: first.log)
        jobs.cancel(second.number)
        assert second.state == "cancelled"
        assert second.code is None
        jobs.cancel(first.number)
        jobs.cancel(first.number)  # by somebody else, who sees it run
        await until(lambda: first.is_ended)
        assert (first.state, first.refusal) == ("cancelled", "")
        with pytest.raises(JobError, match="expected one that waits or runs, seen one that is cancelled"):
            jobs.cancel(first.number)
        again = jobs.retry(first.number, who="Bob")
        assert (again.number, again.who, again.command) == (3, "Bob", first.command)
        await until(lambda: again.log)

    with_jobs(tmp_path, use)


def test_one_that_ignores_the_signal_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    async def use(jobs: Jobs, _: Told) -> None:
        job = jobs.start("a", ["trap '' TERM; sleep 60 & echo $!; wait; wait"], who="Ada")
        await until(lambda: job.log)
        jobs.cancel(job.number)
        await until(lambda: job.is_ended)
        assert job.state == "cancelled"
        await until(lambda: _is_gone(int(job.log[0])))

    with_jobs(tmp_path, use, grace_s=0.05)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2].startswith("Z")
    except (ProcessLookupError, FileNotFoundError):
        return True


def test_the_end_of_the_server_ends_the_one_that_runs(tmp_path: Path) -> None:
    async def use(jobs: Jobs, _: Told) -> None:
        job = jobs.start("a", [f"echo $$; {WAIT}"], who="Ada")
        await until(lambda: job.log)

    with_jobs(tmp_path, use)


@pytest.mark.parametrize(
    ("script", "refusal"),
    [
        (
            "echo working; echo 'masks: expected this, seen that; do this' >&2; exit 1",
            "masks: expected this, seen that; ",
        ),
        (
            "echo 'Traceback (most recent call last):' >&2; echo 'KeyError: 1' >&2; exit 1",
            "expected .* with 0, seen 1; see",
        ),
        ("exit 2", "Rebuild masks: expected its program to end with 0, seen 2; see its log"),
        ("kill -9 $$", "seen -9"),
    ],
    ids=["a refusal", "a bug", "wrong usage", "killed"],
)
def test_one_that_fails_says_why_in_one_line(tmp_path: Path, script: str, refusal: str) -> None:
    async def use(jobs: Jobs, _: Told) -> None:
        job = jobs.start("Rebuild masks", [script], who="Ada")
        after = jobs.start("after", ["true"], who="Ada")
        await until(lambda: after.is_ended)
        assert (job.state, after.state) == ("failed", "done")
        assert re.search(refusal, job.refusal)

    with_jobs(tmp_path, use)


def test_its_lines_are_kept_without_secrets_and_bounded(tmp_path: Path) -> None:
    async def use(jobs: Jobs, told: Told) -> None:
        script = "echo hf_x is mine; echo 'a\\rb'; printf '%5000s|\\n' x; head -c 5000000 /dev/zero; echo; seq 3000"
        job = jobs.start("a", [script], who="Ada")
        await until(lambda: job.is_ended)
        assert told.lines[0] == "*** is mine"
        assert told.lines[1].endswith("b")
        assert len(told.lines[2]) == 2000
        assert list(job.output)[-2:] == ["2999", "3000"]
        assert (len(job.log), len(job.output)) == (2000, 2000)

    with_jobs(tmp_path, use)


def test_events_of_the_farm_are_its_progress(tmp_path: Path) -> None:
    events = """
{"event": "start", "stage": "engines@a", "done": 0, "total": 2}
{"event": "line", "stage": "engines@a", "output": "compile cpu a", "done": 0, "total": 2}
{"event": "done", "stage": "engines@a", "how": "run", "seconds": 1.25, "done": 1, "total": 2}
{"event": "done", "stage": "pack@cpu", "how": "up to date", "done": 2, "total": 2}
{"event": "end", "counts": {"run": 1, "up to date": 1}}
{"event": not one
"""

    async def use(jobs: Jobs, told: Told) -> None:
        (tmp_path / "events").write_text(events.strip(), "utf-8")
        job = jobs.start("a", ["cat events"], who="Ada")
        await until(lambda: job.is_ended)
        assert (job.progress.done, job.progress.total, job.progress.running) == (2, 2, {})
        assert job.progress.stages == {"engines@a": "run", "pack@cpu": "up to date"}
        assert list(job.log) == [
            "engines@a: started",
            "compile cpu a",
            "engines@a: run, 1.2 s (1 of 2)",
            "pack@cpu: up to date (2 of 2)",
            '{"event": not one',
        ]
        assert list(job.output) == ['{"event": not one']
        assert told.states.count("a running") == 6

    with_jobs(tmp_path, use)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    async def use(jobs: Jobs, _: Told) -> None:
        with pytest.raises(JobError, match="job 7: expected a job of this server, seen none"):
            jobs.job(7)

    with_jobs(tmp_path, use)
