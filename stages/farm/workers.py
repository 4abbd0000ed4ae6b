"""Run programs side by side, a number of them at once, and one at a time those that need a GPU to themselves."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

_POLL_S = 0.02
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
# A terminal interrupts the programs together with their starter, and a second interrupt would break off their tidying.
_STOPS = ((1.0, signal.SIGINT), (10.0, signal.SIGKILL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that has ended: its name, how long it ran, its exit status and what it printed."""

    name: str
    seconds: float
    code: int
    output: str


@dataclass(slots=True, kw_only=True)
class _Running:
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    gpu: str | None
    start: float
    read: int = 0  # bytes of its output, up to the end of a line

    def new_lines(self) -> list[str]:
        """Return the lines that it has printed since the last call."""
        number = self.output.fileno()  # read in place, as the program writes where this file is
        new, _, _ = os.pread(number, os.fstat(number).st_size - self.read, self.read).rpartition(b"\n")
        self.read += len(new) + bool(new)
        return new.decode(errors="replace").splitlines()


def end_with_parent() -> None:
    """Have the system kill this process when its parent is killed, so that the next run is alone."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Workers:
    """Holds the programs that run; leaving it interrupts them, and waits for them."""

    def __init__(self, jobs: int, folder: Path | None = None) -> None:
        self._jobs, self._folder = jobs, folder
        self._running: dict[str, _Running] = {}
        self._last_lines: list[tuple[str, str]] = []  # of programs that have ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for grace_s, stop in _STOPS:
            deadline = time.monotonic() + grace_s
            while time.monotonic() < deadline and any(one.process.poll() is None for one in self._running.values()):
                time.sleep(_POLL_S)
            for running in self._running.values():
                running.process.send_signal(stop)  # does nothing to one that has ended
        for running in self._running.values():
            running.process.wait()
            running.output.close()

    def can_start(self, gpu: str | None) -> bool:
        """Return whether a program can start now that needs a GPU to itself, or none where that is None."""
        is_busy = gpu is not None and gpu in {running.gpu for running in self._running.values()}
        return len(self._running) < self._jobs and not is_busy

    def start(self, name: str, command: str, gpu: str | None) -> None:
        """Start a command: one program, with assignments to its environment before it, as the shell reads them."""
        output = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the program has ended
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec env {command}"],  # without exec, an interrupt would end the shell alone
            cwd=self._folder,
            env={**os.environ, "NO_COLOR": "1"},  # as its last line may be a refusal, which is printed again
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=end_with_parent,  # no other thread runs here
        )
        self._running[name] = _Running(process=process, output=output, gpu=gpu, start=time.monotonic())

    def seconds(self) -> dict[str, float]:
        """Return how long each program has been running, by name."""
        now = time.monotonic()
        return {name: now - running.start for name, running in self._running.items()}

    def new_lines(self) -> list[tuple[str, str]]:
        """Return the lines that programs have printed since the last call, each with its program."""
        ended, self._last_lines = self._last_lines, []
        return ended + [(name, line) for name, running in self._running.items() for line in running.new_lines()]

    def ended(self, timeout_s: float) -> list[Ended]:
        """Return the programs that have ended since the last call; wait for one, but no longer than a timeout."""
        deadline = time.monotonic() + timeout_s
        while not (ended := [name for name, one in self._running.items() if one.process.poll() is not None]):
            if not self._running or time.monotonic() >= deadline:
                break
            time.sleep(_POLL_S)
        return [self._end(name) for name in ended]

    def _end(self, name: str) -> Ended:
        running = self._running.pop(name)
        seconds = time.monotonic() - running.start
        self._last_lines += [(name, line) for line in running.new_lines()]
        with running.output as output:
            output.seek(0)
            text = output.read().decode(errors="replace")
        return Ended(name=name, seconds=seconds, code=running.process.returncode, output=text)
