"""Show how far a rebuild is: in lines for people, or in JSON, an object a line, for programs.

On a terminal people see one line that changes, elsewhere a line for each stage that is done. A program gets objects
with the key ``event``: ``start``, ``line`` (of what a stage prints), ``done`` (with ``how``), ``failed``, and at the
``end`` the counts; ``done`` and ``total`` are numbers of stages.
"""

import json
import shutil
from collections.abc import Collection, Mapping
from typing import Protocol, TextIO

from morphstream.source.progress import is_terminal

_CLEAR = "\r\033[K"
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
    """Shows it to people."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total, self._done = total, 0
        self._stream, self._is_terminal = stream, is_terminal(stream)

    def start(self, stage: str) -> None:
        """Show nothing."""

    def end(self, stage: str, how: str, seconds: float | None = None) -> None:
        """Count a stage, and print how it was done; nothing of a stage that had nothing to do, or failed."""
        if how == FAILED:
            return
        self._done += 1
        if how != UP_TO_DATE and not self._is_terminal:
            what = how if seconds is None else f"{seconds:.1f} s"
            print(f"{stage} {what} ({self._done} of {self._total})", file=self._stream, flush=True)

    def show(self, seconds: Mapping[str, float], lines: Collection[tuple[str, str]]) -> None:
        """Show on a terminal what is running, and clear the line where nothing is."""
        del lines
        if self._is_terminal:
            running = ", ".join(f"{stage} {value:.0f} s" for stage, value in seconds.items())
            line = f"{self._done} of {self._total}: {running}"[: shutil.get_terminal_size().columns - 1]
            print(_CLEAR + line * bool(seconds), end="", file=self._stream, flush=True)


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
