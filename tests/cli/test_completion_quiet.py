"""A shell completes the command line, and ``--quiet`` prints nothing but refusals and what was asked for."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from morphstream.cli.main import main
from morphstream.store.store import Store
from tests.cli import refusal

SWAP = ("swap", "source.png", "source.png", "-o", "new.png")
ASK = """
COMP_WORDS=(morphstream "$@") COMP_CWORD=$#
$(complete -p morphstream | grep -o '_shtab[a-z_]*')
echo "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["ins"], "inspect"), (["boot", "--of"], "--offline"), (["completion", "z"], "zsh")],
    ids=["a command", "an option", "a choice"],
)
def test_bash_completes(capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    assert main(["completion", "bash"]) == 0
    script = f"{capsys.readouterr().out}\n{ASK}"
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.split()) == ("", [expected])


def test_a_quiet_swap_prints_nothing(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SWAP, "--store", str(booted.path), "--quiet"]) == 0
    assert (here / "new.png").exists()
    assert capfd.readouterr() == ("", "")


def test_a_quiet_command_still_refuses_and_answers(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    store = str(booted.path)
    assert "no_such.png" in refusal(
        capfd, "swap", "no_such.png", "group.jpg", "-o", "new.png", "--quiet", "--store", store
    )
    assert main(["doctor", "--quiet", "--store", store]) == 0
    assert capfd.readouterr().out.startswith("machine")


@pytest.mark.parametrize(("terminal", "is_replaced"), [("xterm", True), ("dumb", False)], ids=str)
def test_lines_are_replaced_where_the_terminal_can(terminal: str, is_replaced: bool) -> None:
    code = "from morphstream.source.progress import show_line as s; s('half'); s(''); print('end')"
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": terminal}
    with subprocess.Popen([sys.executable, "-c", code], stdout=child, stderr=child, env=environment):
        os.close(child)
        seen = b""
        while b"end" not in seen:
            seen += os.read(parent, 1000)
    os.close(parent)
    assert (b"\r\x1b[Khalf" in seen) == is_replaced
