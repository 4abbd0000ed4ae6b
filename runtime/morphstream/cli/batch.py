"""``morphstream batch``: do the swaps that a file lists, one after the other; what is done isn't done again."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import MorphstreamError
from morphstream.cli.options import Commands, UsageError, add_threads, text_of
from morphstream.cli.output import Style, paint
from morphstream.cli.signing import add_signing, signing_of
from morphstream.machine.limits import check_limits

if TYPE_CHECKING:
    from morphstream.cli.jobs import Done, Entry
    from morphstream.cli.task import Report, Task
    from morphstream.media.credentials import Signing
    from morphstream.pipeline import SwapPipeline

_STYLES: Mapping[str, Style] = {"done": "green", "skipped": "yellow", "failed": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What came of a job.

    Attributes:
        name: As the file has it.
        state: ``done``, ``skipped`` where it was done before, or ``failed``.
        files: How many it has written.
        seconds: It took.
        error: Why it failed.
        pictures: What came of each, as in ``morphstream swap --json``.
        videos: The same.
    """

    name: str
    state: str
    files: int = 0
    seconds: float = 0.0
    error: str | None = None
    pictures: Sequence[Mapping[str, object]] = ()
    videos: Sequence[Mapping[str, object]] = ()


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("batch", help="do the swaps that a YAML file lists; what is done isn't done again")
    parser.add_argument("jobs", type=Path, help="YAML file: jobs, each with the options of swap, and their defaults")
    parser.add_argument("--again", action="store_true", help="do what is done, too; jobs then need overwrite")
    add_signing(parser)
    add_threads(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do each job, also after one that failed; return 1 if one did."""
    check_limits()
    from morphstream.cli.jobs import Done, read_jobs

    signing = signing_of(options)
    entries, reports = read_jobs(options.jobs), list[JobReport]()
    options.so_far = lambda: _summary(reports)
    with Done(options.jobs) as done, _Engines(options.store, options.threads) as engines:
        for number, entry in enumerate(entries, 1):
            is_done = not options.again and done.has(entry)
            report = JobReport(name=entry.name, state="skipped") if is_done else _do(entry, engines, done, signing)
            reports.append(report)
            said = report.error or (f"{report.files} files in {report.seconds:.1f} s" if report.files else "")
            state = f"{report.state}: {said}" if said else report.state
            print(f"[{number}/{len(entries)}] {entry.name}: {state}", file=sys.stderr)
    print(json.dumps(_summary(reports), indent=2) if options.json else "\n".join(_table(reports)))
    return int(any(report.error for report in reports))


class _Engines:
    """One pipeline for all jobs, with the swap model of the last one; a context manager."""

    def __init__(self, store: Path, threads: int) -> None:
        self._store, self._threads, self._stack = store, threads, ExitStack()
        self._pipeline: SwapPipeline | None = None

    def __enter__(self) -> "_Engines":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pipeline_of(self, task: "Task") -> "SwapPipeline":
        """Return the pipeline with a task's swap model; errors as of `SwapPipeline` and its `use`."""
        from morphstream.pipeline import SwapPipeline

        model = task.options.swap_model
        if self._pipeline is None:
            opened = SwapPipeline(self._store, swap_model=model, look=task.look, threads=self._threads)
            self._pipeline = self._stack.enter_context(opened)
        elif self._pipeline.swap_model != model:
            self._pipeline.use(model)
        return self._pipeline


def _do(entry: "Entry", engines: _Engines, done: "Done", signing: "Signing | None") -> JobReport:
    """Do a job, and write down that it is done."""
    from morphstream.cli.task import described, is_failure, print_notes, swap, task_of

    started, reports, found = time.perf_counter(), list["Report"](), dict[str, Sequence[Mapping[str, object]]]()
    try:
        task = task_of(options := entry.options(), signing)
        options.resume = done.begin(entry, task)
        reports, _ = swap(task, engines.pipeline_of(task))
        print_notes(reports)
        found.update(described(task, reports))
        failed = sum(map(is_failure, reports))
        error = f"{failed} of {len(reports)} failed" if failed else None
        if not failed:
            done.add(entry, task)
    except (MorphstreamError, OSError, UsageError) as refusal:
        error = text_of(refusal)
    files = sum(not is_failure(report) for report in reports)
    state, seconds = "failed" if error else "done", round(time.perf_counter() - started, 3)
    return JobReport(name=entry.name, state=state, files=files, seconds=seconds, error=error, **found)


def _summary(reports: Sequence[JobReport]) -> dict[str, object]:
    failed = sum(report.error is not None for report in reports)
    return {"failed": failed, "jobs": [asdict(report) for report in reports]}


def _table(reports: Sequence[JobReport]) -> list[str]:
    """Return a line for each job, and one for all."""
    width = max(len(report.name) for report in reports)
    lines = [paint(f"{'job':{width}}  state    files  seconds  why", "bold", sys.stdout)]
    for report in reports:
        state = paint(f"{report.state:7}", _STYLES[report.state], sys.stdout)
        numbers = f"{state}  {report.files:5}  {report.seconds:7.1f}"
        lines.append(f"{report.name:{width}}  {numbers}  {report.error or ''}".rstrip())
    counts = [f"{sum(report.state == state for report in reports)} {state}" for state in ("done", "skipped", "failed")]
    return [*lines, f"{len(reports)} jobs: {', '.join(counts)}"]
