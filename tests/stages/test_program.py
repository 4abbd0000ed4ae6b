"""A stage program exits 0 done, 1 refused in one line, 2 wrong usage; a bug keeps its traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from morphstream import __version__
from stages.__main__ import HERE, programs_of
from stages.workspace import Workspace
from tests.stages import ROOT, run_stage
from tests.terminal import run_on_terminal

VERBS = ("declare", "fetch", "prepare", "compile", "check", "index", "pack", "validate", "report", "prune")
PROGRAM = """
from pathlib import Path
from morphstream.artifact.errors import FetchError
from stages.program import run_program

def main(workspace):
    {body}

run_program(main)
"""


def program(folder: Path, body: str, word: str = "model") -> subprocess.CompletedProcess[str]:
    path = folder / "verb.py"
    path.write_text(PROGRAM.format(body=body), "utf-8")
    command = [sys.executable, str(path), word]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env={"PYTHONPATH": str(ROOT)}
    )


HELP = """
import runpy, sys
for name in sys.argv[1:]:
    for option in ("--help", "--version"):
        sys.argv = [f"{name}.py", option]
        try:
            runpy.run_module(f"stages.{name}", run_name="__main__")
        except SystemExit as end:
            print("exits with", end.code)
"""
COMMON = ("json", "quiet", "version")


@pytest.mark.parametrize(
    ("body", "code", "lines"),
    [
        pytest.param("pass", 0, [], id="done"),
        pytest.param("raise FetchError('a\\n  b')", 1, ["verb model: a b"], id="refused"),
        pytest.param(
            "Path('none').read_bytes()",
            1,
            ["verb model: none: expected a file to read or write, seen No such file or directory; run `dvc repro`"],
            id="a missing file",
        ),
        pytest.param("raise OSError('disk full')", 1, ["verb model: disk full"], id="a system's error"),
    ],
)
def test_an_end_is_a_code_and_a_line_at_most(tmp_path: Path, body: str, code: int, lines: list[str]) -> None:
    done = program(tmp_path, body)
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (code, "", lines)


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    done = program(tmp_path, "raise KeyError('bug')")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.splitlines()[-1] == "KeyError: 'bug'"


@pytest.mark.parametrize("verb", VERBS)
def test_wrong_usage_exits_2_with_a_usage_line(workspace: Workspace, verb: str) -> None:
    done = run_stage(workspace, verb, "--no-such-option")
    assert done.returncode == 2
    assert done.stderr.startswith(f"usage: python -m stages.{verb} ")
    assert not workspace.dvc_yaml.exists()


def test_every_program_is_listed_and_has_a_help(tmp_path: Path) -> None:
    programs = dict(programs_of(HERE))
    assert {
        *VERBS,
        "publish",
        "farm",
        "add",
        "admin",
        "build",
        "engines",
        "demo",
        "sign",
        "provenance",
    } == programs.keys()
    assert all(programs.values())
    done = subprocess.run([sys.executable, "-m", "stages"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"\n  {name:10}{text}" in done.stdout for name, text in programs.items())
    command = [sys.executable, "-W", "ignore", "-c", HELP, *programs]
    environment = {"PYTHONPATH": str(ROOT)}
    code, shown = run_on_terminal(command, tmp_path, 80, **environment)
    assert code == 0
    assert all(f"\nusage: python -m stages.{name} [-h]" in f"\n{shown}" for name in programs)
    assert shown.count("exits with 0") == 2 * len(programs)
    assert shown.count(f"\nmorphstream {__version__}\n") == len(programs)
    assert all(shown.count(f"  --{option} ") >= len(programs) for option in COMMON)
    assert max(map(len, shown.splitlines())) <= 80
    assert not [*tmp_path.iterdir()]


def test_what_is_wrong_is_one_line_of_bounded_length(workspace: Workspace) -> None:
    (line,) = run_stage(workspace, "check", "y" * 10_000).stderr.splitlines()
    assert line.startswith("check yyy")
    assert len(line) <= 500


@pytest.mark.parametrize(
    ("body", "code", "stderr"),
    [
        pytest.param("import sys; print('note', file=sys.stderr); print('answer')", 0, "", id="done"),
        pytest.param("print('answer'); raise FetchError('a')", 1, "verb --quiet: a\n", id="refused"),
    ],
)
def test_a_quiet_program_prints_its_answer_and_its_refusal_alone(
    tmp_path: Path, body: str, code: int, stderr: str
) -> None:
    ran = program(tmp_path, body, "--quiet")
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "answer\n", stderr)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        pytest.param("print('one'); print('two')", 0, {"output": ["one", "two"]}, id="lines"),
        pytest.param("print('one'); return {'removed': ['one']}", 0, {"removed": ["one"]}, id="an object"),
        pytest.param("print('one'); raise FetchError('a')", 1, {"error": "verb --json: a"}, id="a refusal"),
    ],
)
def test_a_program_prints_one_object_where_json_is_asked_for(
    tmp_path: Path, body: str, code: int, said: dict[str, object]
) -> None:
    ran = program(tmp_path, body, "--json")
    assert (ran.returncode, json.loads(ran.stdout)) == (code, said)
    assert ran.stderr == "".join(f"{line}\n" for line in [said.get("error")] if line)


def test_a_refusal_of_a_program_is_coloured_on_a_terminal_alone(tmp_path: Path) -> None:
    program(tmp_path, "raise FetchError('a')")
    command, settings = [sys.executable, "verb.py"], {"PYTHONPATH": str(ROOT), "FORCE_COLOR": "", "NO_COLOR": ""}
    shown = [run_on_terminal(command, tmp_path, 80, TERM=terminal, **settings)[1] for terminal in ("xterm", "dumb")]
    assert [text.rpartition("\033[K")[2] for text in shown] == ["\033[31mverb:\033[0m a\n", "verb: a\n"]
