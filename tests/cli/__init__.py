"""Tests of the command line, and how a command is run in one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from morphstream.cli.main import main

OLD = b"what was there before"
SWAP = ("source.png", "group.jpg", "out.png")


def refusal(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must refuse: 1, nothing on stdout; return its one line on stderr."""
    capfd.readouterr()
    code = main([*arguments])
    done = capfd.readouterr()
    assert (code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    prefix = f"morphstream {arguments[0]}: "
    assert line.startswith(prefix)
    return line.removeprefix(prefix)


def wrong_usage(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that makes no sense: 2; return what stderr says."""
    with pytest.raises(SystemExit) as caught:
        main([*arguments])
    assert caught.value.code == 2
    done = capfd.readouterr()
    assert done.out == ""
    return done.err


def python(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command, settings = [sys.executable, *arguments], {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=settings, capture_output=True, encoding="utf-8", check=False)
