"""A job: one of the pipeline's commands that somebody asked for, how far it is, and what it printed."""

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED: Collection[JobState] = ("done", "failed", "cancelled")
_MOST_LINES = 2000


@dataclass(kw_only=True)
class Progress:
    """How far a job is.

    Attributes:
        done: Stages that have ended.
        total: Of all; 0 where that isn't known.
        running: When each stage that runs was started, by name, in seconds of `time.monotonic`.
        stages: How each stage ended, by name: ``run``, ``restored from DVC's cache``, ``up to date`` or ``failed``.
    """

    done: int = 0
    total: int = 0
    running: dict[str, float] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)

    def read(self, event: Mapping[str, Any]) -> str:
        """Read an event of the farm; return a line for the log, empty for none."""
        self.done, self.total = event.get("done", self.done), event.get("total", self.total)
        stage, how = str(event.get("stage", "")), str(event.get("how", "failed"))
        if event["event"] == "start":
            self.running[stage] = time.monotonic()
            return f"{stage}: started"
        if event["event"] in ("done", "failed"):
            self.running.pop(stage, None)
            self.stages[stage] = how
            seconds = f", {event['seconds']:.1f} s" if "seconds" in event else ""
            return f"{stage}: {how}{seconds} ({self.done} of {self.total})"
        return str(event.get("output", ""))


@dataclass(kw_only=True)
class Job:
    """A job, from when it is asked for.

    Attributes:
        number: Of all jobs since the server started, from 1.
        title: What it does, in a few words.
        command: What is run, without the Python interpreter: ``-m stages.farm rebuild ...``.
        who: The session that asked for it, by name.
        subject: What it is about, as who asks for it likes, such as the cells of the matrix.
        log: The latest lines that it printed, on both streams.
        output: The lines that it printed on stdout, but for events.
        code: Its exit status; None until it has ended.
        refusal: Why it failed, in one line; empty where it didn't.
        results: What became of it, in lines; by who asked for it.
    """

    number: int
    title: str
    command: Sequence[str]
    who: str
    subject: Collection[Any]
    state: JobState = "waiting"
    log: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_LINES))
    output: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_LINES))
    progress: Progress = field(default_factory=Progress)
    started_s: float | None = None
    ended_s: float | None = None
    code: int | None = None
    refusal: str = ""
    results: tuple[str, ...] = ()

    @property
    def is_ended(self) -> bool:
        """Whether it has ended."""
        return self.state in ENDED

    @property
    def seconds(self) -> float:
        """How long it has been running, or ran."""
        return 0.0 if self.started_s is None else (self.ended_s or time.monotonic()) - self.started_s
