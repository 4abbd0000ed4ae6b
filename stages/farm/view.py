"""Show how far a rebuild is: one line that changes on a terminal, elsewhere a line for each stage that is done."""

import shutil
from collections.abc import Mapping
from typing import TextIO

_CLEAR = "\r\033[K"


class View:
    """Counts stages, and writes to a stream."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total, self._done = total, 0
        self._stream, self._is_terminal = stream, stream.isatty()

    def count(self, stage: str, what: str | None) -> None:
        """Count a stage that is done, and print how; nothing of a stage that had nothing to do."""
        self._done += 1
        if what and not self._is_terminal:
            print(f"{stage} {what} ({self._done} of {self._total})", file=self._stream, flush=True)

    def show(self, seconds: Mapping[str, float]) -> None:
        """Show on a terminal what is running."""
        if self._is_terminal:
            running = ", ".join(f"{stage} {value:.0f} s" for stage, value in seconds.items())
            line = f"{self._done} of {self._total}: {running}"
            print(_CLEAR + line[: shutil.get_terminal_size().columns - 1], end="", file=self._stream, flush=True)

    def clear(self) -> None:
        """Clear the line of a terminal."""
        if self._is_terminal:
            print(_CLEAR, end="", file=self._stream, flush=True)
