"""Run a program; every process that it starts ends with it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_TIDYING_S = 2.0  # less than `morphstream.process` leaves


class ProgramError(Exception):
    """A program ended otherwise than it should, or not in time; its message says what was expected and seen."""


def run_program(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout_s: float,
    accepted: Collection[int] = (0,),
) -> int:
    """Run a program in a folder, with more variables in its environment, and return its exit code; it prints to stderr.

    Raises:
        ProgramError: It ended with a code that isn't accepted or by a signal, or it didn't end in time.
        OSError: It can't be started.
    """
    with deferred_signals() as deferred:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,  # so that all it starts can be ended with it
        )
    try:
        for number in deferred:
            signal.raise_signal(number)
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise ProgramError(f"expected its end within {timeout_s:g} s, seen none") from None
    except KeyboardInterrupt:
        _interrupt(process)
        raise
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code not in accepted:
        raise ProgramError(f"expected exit 0, seen {f'exit {code}' if code >= 0 else f'signal {-code}'}")
    return code


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a program and all that it started, as a terminal does, and give it time to tidy up."""
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGINT)
        process.wait(_TIDYING_S)


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Yield a list of the SIGINT and SIGTERM that arrive in the block, in place of calling their handlers.

    What a handler raises would lose what is at hand: a process that is being started, a frame that is being encoded.
    """
    received: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()  # others receive none, and may set no handler
    numbers = (signal.SIGINT, signal.SIGTERM) if is_main else ()
    caught = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    handlers = {number: signal.signal(number, lambda number, _: received.append(number)) for number in caught}
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
