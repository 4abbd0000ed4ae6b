"""A real terminal for tests: a pseudo-terminal of the system, and what was written to it."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from threading import Thread


@contextmanager
def open_terminal(columns: int) -> Iterator[tuple[int, Callable[[], str]]]:
    """Yield a terminal's descriptor, and a function that closes it and returns what was written to it, in lines."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    parts = list[bytes]()

    def read() -> None:
        try:
            while part := os.read(parent, 4096):
                parts.append(part)
        except OSError:  # nobody writes any more
            pass

    reader = Thread(target=read)
    reader.start()
    is_open = True

    def close() -> str:
        nonlocal is_open
        if is_open:
            os.close(child)
            reader.join()
            os.close(parent)
        is_open = False
        return b"".join(parts).decode().replace("\r\n", "\n")

    try:
        yield child, close
    finally:
        close()


def call_on_terminal(function: Callable[[], int], columns: int = 80) -> tuple[int, str]:
    """Call a function that prints to a terminal; return what it returns, and what it wrote."""
    with open_terminal(columns) as (child, close):
        with os.fdopen(os.dup(child), "w") as stream, redirect_stdout(stream), redirect_stderr(stream):
            code = function()
        return code, close()


def run_on_terminal(command: Sequence[str], folder: Path, columns: int = 80, **environment: str) -> tuple[int, str]:
    """Run a program whose output is a terminal; return its exit status, and what it wrote."""
    with open_terminal(columns) as (child, close):
        code = subprocess.run(
            command, cwd=folder, env={**os.environ, **environment}, stdout=child, stderr=child, check=False
        ).returncode
        return code, close()
