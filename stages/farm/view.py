"""Show how far a rebuild is: in lines for people, or in JSON, an object a line, for programs.

People see a line for each stage that was done, and on a terminal what is running. A program gets objects with
the key ``event``: ``start``, ``line`` (of what a stage prints), ``done`` (with ``how``), ``failed``, and at the ``end``
the counts, or ``refused`` with the ``error``; ``done`` and ``total`` are numbers of stages.
"""

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Protocol, TextIO

from morphstream.source.progress import is_terminal

if TYPE_CHECKING:
    from rich.live import Live

RUN, UP_TO_DATE, FAILED = "run", "up to date", "failed"


class View(Protocol):
    """Is told of each stage how it goes."""

    def start(self, stage: str) -> None:
        """Show that a stage was started."""
        ...

    def end(self, stage: str, how: str, seconds: float | None = None) -> None:
        """Count a stage that is done or, where that is how, ``failed``; with how long it ran, if it did."""
        ...

    def show(self, seconds: Mapping[str, float], lines: Collection[tuple[str, str]]) -> None:
        """Show how long each stage has been running, and new lines, each with the stage that printed it."""
        ...


class TextView:
    """Shows it to people: a line for each stage that was done, and on a terminal below them what is running."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total, self._done, self._stream = total, 0, stream
        self._below = _Below(stream) if is_terminal(stream) else None

    def start(self, stage: str) -> None:
        """Show nothing."""

    def end(self, stage: str, how: str, seconds: float | None = None) -> None:
        """Count a stage, and print how it was done; nothing of a stage that had nothing to do, or failed."""
        if how == FAILED:
            return
        self._done += 1
        if how != UP_TO_DATE:
            what = how if seconds is None else f"{seconds:.1f} s"
            line = f"{stage} {what} ({self._done} of {self._total})"
            self._below.print(line) if self._below else print(line, file=self._stream, flush=True)

    def show(self, seconds: Mapping[str, float], lines: Collection[tuple[str, str]]) -> None:
        """Show on a terminal what is running, and remove it where nothing is."""
        del lines
        if self._below:
            self._below.show(seconds, self._done, self._total)


class _Below:
    """Lines at the end of a terminal: each stage that is running, and a bar."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # here, as it takes a while to load, and only a terminal needs it

        self._console = Console(file=stream, highlight=False)
        self._live: Live | None = None

    def print(self, line: str) -> None:
        """Print a line above them."""
        self._console.print(line, markup=False, soft_wrap=True)

    def show(self, seconds: Mapping[str, float], done: int, total: int) -> None:
        """Show how far it is; nothing where no stage is running."""
        from rich.columns import Columns
        from rich.console import Group
        from rich.live import Live
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        if not seconds:
            if self._live:
                self._live.stop()
            self._live = None  # one that is started again would clear the lines above it
            return
        running = [
            Text(f"{stage} {value:.0f} s", no_wrap=True, overflow="ellipsis") for stage, value in seconds.items()
        ]
        bar = Columns([Text(f"{done} of {total}"), ProgressBar(total, done, width=30, complete_style="green")])
        if self._live is None:  # without a thread of its own, as programs are forked meanwhile
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(Group(*running, bar), refresh=True)


class JsonView:
    """Shows it to a program."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total, self._done, self._stream = total, 0, stream

    def start(self, stage: str) -> None:
        """Print that a stage was started."""
        self._print("start", stage=stage)

    def end(self, stage: str, how: str, seconds: float | None = None) -> None:
        """Print how a stage was done, or that it failed."""
        ran = {} if seconds is None else {"seconds": round(seconds, 3)}
        if how == FAILED:
            self._print(FAILED, stage=stage, **ran)
            return
        self._done += 1
        self._print("done", stage=stage, how=how, **ran)

    def show(self, seconds: Mapping[str, float], lines: Collection[tuple[str, str]]) -> None:
        """Print new lines."""
        del seconds
        for stage, line in lines:
            self._print("line", stage=stage, output=line)

    def _print(self, event: str, **fields: str | float) -> None:
        document = {"event": event, **fields, "done": self._done, "total": self._total}
        print(json.dumps(document), file=self._stream, flush=True)
