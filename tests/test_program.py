"""A program's whole process group ends with it, whatever ends the one that runs it, and its end is told in words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from morphstream.program import ProgramError, run_program

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


# SIGTERM raises SystemExit, as in the command line, and arrives when the system has started the program already.
INTERRUPTED = """
import signal, subprocess, sys
from pathlib import Path
from morphstream.program import run_program

class Interrupted(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        print(self.pid, flush=True)
        signal.raise_signal(signal.SIGTERM)

subprocess.Popen = Interrupted
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
run_program(sys.argv[1:], folder=Path(), environment={}, timeout_s=60.0)
"""


def run(folder: Path, *command: str, timeout_s: float = 60.0) -> int:
    return run_program(command, folder=folder, environment={}, timeout_s=timeout_s)


def test_a_signal_that_arrives_while_a_program_starts_ends_the_program(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, *SLEEP]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, check=False, timeout=30)
    assert done.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


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


TIDYING = (
    "import sys, time\ntry: print('begun', file=sys.stderr, flush=True); time.sleep(60)\nfinally: open('tidy', 'w')"
)
STARTER = """
import sys
from pathlib import Path
from morphstream.process import run_process
from morphstream.program import run_program
command = [sys.executable, "-c", sys.argv[1]]
sys.exit(run_process(lambda: "a", lambda: run_program(command, folder=Path(), environment={}, timeout_s=60.0)))
"""


def test_a_program_tidies_up_when_the_one_that_runs_it_is_terminated(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, TIDYING]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline() == "begun\n"
        process.terminate()
    assert process.returncode == 143
    assert (tmp_path / "tidy").exists()
