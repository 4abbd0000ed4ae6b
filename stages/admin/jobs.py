"""Jobs: the pipeline's own commands, each in a process, one after the other as they change the same workspace.

A job that is asked for again while it waits or runs isn't started twice. What it prints is kept, bounded, until the
server ends; lines that are JSON objects with the key ``event``, as of `python -m stages.farm rebuild --json`, are its
progress.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from morphstream.artifact.errors import MorphstreamError
from stages.admin.job import Job

_MOST_ENDED, _MOST_WAITING = 100, 1000
_MOST_BYTES = 1 << 22  # of a line that is read whole
_MOST_LETTERS = 2000  # of a line that is kept
_GRACE_S = 15.0  # more than the farm leaves its programs to tidy


class JobError(MorphstreamError):
    """There is no such job, or it can't be done to it what is asked."""


class Jobs:
    """Runs jobs in their order; for one event loop, in which `run` is one task.

    Attributes:
        started: Each is called with a job whose turn it is.
        ended: Each is called with a job that has ended, before others are told.
    """

    def __init__(
        self,
        folder: Path,
        *,
        interpreter: Sequence[str],
        changed: Callable[[Job], None],
        logged: Callable[[Job, str], None],
        hidden: Collection[str] = (),
        grace_s: float = _GRACE_S,
    ) -> None:
        """Begin without jobs.

        Args:
            folder: The workspace, in which they run.
            interpreter: What runs Python, such as ``(sys.executable,)``.
            changed: Is called when a job's state or progress changed.
            logged: Is called with each line that a job printed.
            hidden: Texts that no line may show, such as a token.
            grace_s: After which a job that was interrupted is killed.
        """
        self._folder, self._interpreter = folder, tuple(interpreter)
        self._changed, self._logged, self._grace_s = changed, logged, grace_s
        self._hidden = [text for text in hidden if text]
        self._jobs: dict[int, Job] = {}
        self._number = 0
        self._process: asyncio.subprocess.Process | None = None
        self._is_cancelled, self._asked = False, asyncio.Event()
        self.started: list[Callable[[Job], None]] = []
        self.ended: list[Callable[[Job], None]] = []

    def start(self, title: str, command: Sequence[str], *, who: str, subject: Collection[Any] = ()) -> Job:
        """Have a command run when it is its turn; return the job that waits or runs for the same one, if any.

        Raises:
            JobError: Too many are waiting, or a word of the command is none that a process could get or a log show.
        """
        if odd := next((word for word in command if not word.isprintable()), None):
            raise JobError(f"job: expected letters that can be printed, seen {odd[:200]!r}; correct what was entered")
        waiting = [job for job in self._jobs.values() if not job.is_ended]
        if same := next((job for job in waiting if tuple(job.command) == tuple(command)), None):
            return same
        if len(waiting) >= _MOST_WAITING:
            raise JobError(f"{title}: expected fewer than {_MOST_WAITING} jobs that wait; cancel some, or wait")
        self._number += 1
        job = Job(number=self._number, title=title, command=tuple(command), who=who, subject=tuple(subject))
        self._jobs[job.number] = job
        for old in [job.number for job in self._jobs.values() if job.is_ended][:-_MOST_ENDED]:
            del self._jobs[old]
        self._asked.set()
        self._changed(job)
        return job

    def all(self) -> list[Job]:
        """Return the jobs, the latest first."""
        return list(reversed(self._jobs.values()))

    def job(self, number: int) -> Job:
        """Return a job by number.

        Raises:
            JobError: There is none.
        """
        if number not in self._jobs:
            raise JobError(f"job {number}: expected a job of this server, seen none; look at the list of jobs")
        return self._jobs[number]

    def cancel(self, number: int) -> Job:
        """Have a job end: one that waits at once, one that runs is interrupted, and killed if it goes on.

        Raises:
            JobError: There is none, or it has ended.
        """
        job = self.job(number)
        if job.is_ended:
            raise JobError(f"job {number}: expected one that waits or runs, seen one that is {job.state}")
        if job.state == "waiting":
            job.state = "cancelled"
            self._tell_end(job)
        elif not self._is_cancelled:
            self._is_cancelled = True
            self._interrupt()
        return job

    def retry(self, number: int, *, who: str) -> Job:
        """Start a job's command again once it has ended.

        Raises:
            JobError: There is none, or it hasn't.
        """
        job = self.job(number)
        if not job.is_ended:
            raise JobError(f"job {number}: expected one that has ended, seen one that is {job.state}; cancel it first")
        return self.start(job.title, job.command, who=who, subject=job.subject)

    async def run(self) -> None:
        """Run jobs until cancelled; the one that runs is then interrupted, and ends first."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            while job := next((job for job in self._jobs.values() if job.state == "waiting"), None):
                await self._run(job)

    async def _run(self, job: Job) -> None:
        self._is_cancelled, job.state, job.started_s = False, "running", time.monotonic()
        for tell in self.started:
            tell(job)
        self._changed(job)
        try:
            job.code = await self._execute(job)
        except OSError as error:
            self._log(job, f"{error.strerror}")
        finally:
            job.ended_s = time.monotonic()
            job.progress.running.clear()
            if job.code == 0:
                job.state = "done"
            else:
                job.refusal = "" if self._is_cancelled else _refusal(job)
                job.state = "cancelled" if self._is_cancelled else "failed"
            self._tell_end(job)

    async def _execute(self, job: Job) -> int:
        """Run a job's process to its end, whatever becomes of this task; return its exit status."""
        async with _pipe() as (output, output_end), _pipe() as (errors, errors_end):
            process = await asyncio.create_subprocess_exec(
                *self._interpreter,
                *job.command,
                cwd=self._folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output_end,  # asyncio's own pipes would have it wait for all that have them, not for the process
                stderr=errors_end,
                start_new_session=True,  # so that a terminal interrupts this server alone, and it the job
            )
            output_end.close()
            errors_end.close()
            self._process = process
            if self._is_cancelled:  # while it was being started
                self._interrupt()
            reading = asyncio.gather(self._read(job, output, is_output=True), self._read(job, errors, is_output=False))
            ended = asyncio.create_task(process.wait())
            try:
                await asyncio.shield(ended)
            except asyncio.CancelledError:
                self._is_cancelled = True
                self._interrupt()
                await ended
                raise
            finally:
                self._process = None
                _kill(process.pid)  # what it started and left
                await reading
            return ended.result()

    def _interrupt(self) -> None:
        """Interrupt the process that runs, if one does, and kill it if it goes on."""
        if (process := self._process) is not None and process.returncode is None:
            process.terminate()  # SIGINT is ignored where this server was started in a shell's background
            asyncio.get_running_loop().call_later(self._grace_s, self._kill, process)

    def _kill(self, process: asyncio.subprocess.Process) -> None:
        if self._process is process:
            _kill(process.pid)

    async def _read(self, job: Job, stream: asyncio.StreamReader, *, is_output: bool) -> None:
        while True:
            try:
                data = await stream.readline()
            except ValueError:  # the line is longer than anybody reads
                continue
            if not data:
                return
            line = self._shown(data.decode(errors="replace").rstrip().rpartition("\r")[2])
            if is_output and (event := _event(line)):
                if text := job.progress.read(event):
                    self._log(job, text)
                self._changed(job)
                continue
            if is_output:
                job.output.append(line[:_MOST_LETTERS])
            self._log(job, line[:_MOST_LETTERS])

    def _shown(self, line: str) -> str:
        for text in self._hidden:
            line = line.replace(text, "***")
        return line

    def _log(self, job: Job, line: str) -> None:
        job.log.append(line)
        self._logged(job, line)

    def _tell_end(self, job: Job) -> None:
        for tell in self.ended:
            tell(job)
        self._changed(job)


def _refusal(job: Job) -> str:
    """Return why a job failed, in one line: its own last one, if that is a refusal."""
    if job.code == 1 and job.log and not any("Traceback" in line for line in job.log):
        return job.log[-1]
    seen = "none, as it can't be started" if job.code is None else job.code
    return f"{job.title}: expected its program to end with 0, seen {seen}; see its log"


def _event(line: str) -> Mapping[str, Any] | None:
    """Return the event that a line is, None for another line."""
    if not line.startswith('{"event": '):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, BinaryIO]]:
    """Give a new pipe: what reads of it, and its other end, for a process."""
    number, other = os.pipe()
    with os.fdopen(other, "wb", 0) as end:
        reader = asyncio.StreamReader(_MOST_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(number, "rb", 0))
        try:
            yield reader, end
        finally:
            transport.close()


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
