"""Run a program; every process that it starts ends with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


def run_program(command: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout_s: float) -> int:
    """Run a program and return its exit code, below 0 where a signal ended it; its output goes to stderr.

    Args:
        command: The program and its arguments.
        folder: The folder to run it in.
        environment: Variables to add to those of this process.
        timeout_s: Seconds in which it must end.

    Raises:
        OSError: It can't be started.
        TimeoutError: It didn't end in time.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,  # so that all it starts can be ended with it
    )
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ending_of(code: int) -> str:
    """Return an exit code in words."""
    return f"exit {code}" if code >= 0 else f"signal {-code}"
