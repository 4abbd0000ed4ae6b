"""Run programs side by side, so many at once, and in a lane one after the other."""

import ctypes
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

_POLL_S = 0.02
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
# A terminal interrupts the programs together with their starter, and a second interrupt would break off their tidying.
_STOPS = ((1.0, signal.SIGINT), (10.0, signal.SIGKILL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that has ended.

    Attributes:
        name: As it was started.
        seconds: How long it ran.
        code: Its exit status.
        output: What it printed.
    """

    name: str
    seconds: float
    code: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    lane: str | None
    start: float


def _end_with_parent() -> None:
    """Have the system kill this process when its parent is killed; no other could write where it writes."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Workers:
    """Holds the programs that run; leaving it interrupts them, and waits for them."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._running: dict[str, _Running] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for patience_s, stop in _STOPS:
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline and any(one.process.poll() is None for one in self._running.values()):
                time.sleep(_POLL_S)
            for running in self._running.values():
                running.process.send_signal(stop)  # does nothing to one that has ended
        for running in self._running.values():
            running.process.wait()
            running.output.close()

    def has_room(self, lane: str | None) -> bool:
        """Whether a program of that lane can start now; None is no lane."""
        is_taken = lane is not None and lane in {running.lane for running in self._running.values()}
        return len(self._running) < self._jobs and not is_taken

    def start(self, name: str, command: str, lane: str | None) -> None:
        """Start a command as the shell reads it: one program, with assignments to its environment before it.

        Raises:
            OSError: It can't be started.
        """
        output = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the program has ended
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec env {command}"],  # without exec, an interrupt would end the shell alone
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_end_with_parent,  # no other thread runs here
        )
        self._running[name] = _Running(process=process, output=output, lane=lane, start=time.monotonic())

    def seconds(self) -> dict[str, float]:
        """Return for how long each program has run, by name."""
        now = time.monotonic()
        return {name: now - running.start for name, running in self._running.items()}

    def ended(self, timeout_s: float) -> list[Ended]:
        """Return the programs that have ended, and forget them; wait for one, but no longer than that."""
        deadline = time.monotonic() + timeout_s
        while not (names := [name for name, running in self._running.items() if running.process.poll() is not None]):
            if not self._running or time.monotonic() >= deadline:
                break
            time.sleep(_POLL_S)
        return [self._end(name, seconds) for name, seconds in self.seconds().items() if name in names]

    def _end(self, name: str, seconds: float) -> Ended:
        running = self._running.pop(name)
        with running.output as output:
            output.seek(0)
            text = output.read().decode(errors="replace")
        return Ended(name=name, seconds=seconds, code=running.process.returncode, output=text)
