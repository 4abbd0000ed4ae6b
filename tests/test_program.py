"""A program's whole process group ends with it, whatever ends the one that runs it, and its end is told in words."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from morphstream.program import ProgramError, run_program

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def exits_on_sigterm() -> Iterator[None]:
    """Have SIGTERM raise SystemExit, as the command line does."""

    def end(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    yield
    signal.signal(signal.SIGTERM, before)


def run(folder: Path, *command: str, timeout_s: float = 60.0) -> int:
    return run_program(command, folder=folder, environment={}, timeout_s=timeout_s)


def test_a_signal_that_arrives_while_a_program_starts_ends_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exits_on_sigterm: None
) -> None:
    started: list[int] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            started.append(self.pid)
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, *SLEEP)
    assert caught.value.code == 143
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


@pytest.mark.parametrize(
    ("code", "seen"),
    [("raise SystemExit(3)", "exit 3"), ("import os; os.kill(os.getpid(), 9)", "signal 9")],
    ids=["a code", "a signal"],
)
def test_another_end_than_the_accepted_is_told(tmp_path: Path, code: str, seen: str) -> None:
    with pytest.raises(ProgramError, match=f"expected exit 0, seen {seen}"):
        run(tmp_path, sys.executable, "-c", code)


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"expected its end within 0\.2 s, seen none"):
        run(tmp_path, *SLEEP, timeout_s=0.2)
