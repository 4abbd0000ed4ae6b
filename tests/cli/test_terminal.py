"""On a terminal a command says in colour what went wrong, unless that is unwanted; ``--json`` is one object always."""

import json
from functools import partial
from pathlib import Path

import pytest

from morphstream.cli.main import main
from morphstream.source.progress import show_line
from morphstream.store.store import Store
from tests.terminal import call_on_terminal

RED, BOLD, END, CLEAR = "\033[31m", "\033[1m", "\033[0m", "\r\033[K"
REFUSED = {  # each command with what it must refuse
    "boot": ["--source", "none"],
    "download": ["xseg_1", "--source", "none"],
    "swap": ["none.png", "group.jpg", "-o", "new.png"],
    "live": ["source.png", "--from", "none.mp4", "--to", "new.mkv"],
    "faces": ["none.png"],
    "batch": ["none.yaml"],
    "inspect": ["none.png"],
    "bench": ["none.png"],
    "serve-health": ["--port", "0"],
    "deploy": ["develop", "--into", "releases", "--source", "none"],
    "completion": ["swap-models"],
}


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no settings of whoever runs the tests."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize("command", REFUSED)
def test_every_command_refuses_in_a_line_and_in_json(
    here: Path, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [command, *REFUSED[command], "--store", "none"]
    code, shown = call_on_terminal(partial(main, words))
    line = shown.rstrip().rpartition("\n")[2].rpartition(CLEAR)[2]
    assert (code, line.startswith(f"{RED}morphstream {command}:{END} ")) == (1, True), shown
    for quiet in ([], ["--quiet"]):
        capfd.readouterr()
        assert main([*words, "--json", *quiet]) == 1
        done = capfd.readouterr()
        if command == "serve-health":
            assert done.out.startswith('{"url": ')
            done = done._replace(out=done.out.partition("\n")[2])
        said = json.loads(done.out)["error"]
        assert done.err.splitlines()[-1] == f"morphstream {command}: {said}"


def test_doctor_says_in_colour_whether_faces_can_be_swapped(here: Path, booted: Store) -> None:
    code, shown = call_on_terminal(partial(main, ["doctor", "--store", str(booted.path)]))
    assert (code, "\033[32musable     yes\033[0m" in shown) == (0, True)
    code, shown = call_on_terminal(partial(main, ["doctor", "--store", "none"]))
    assert (code, f"\n{RED}usable     no: " in shown) == (1, True)


def test_a_table_has_a_bold_head_and_says_in_red_what_failed(here: Path, booted: Store) -> None:
    words = ["swap", "source.png", "source.png", "nobody.png", "-o", "out", "--store", str(booted.path)]
    code, shown = call_on_terminal(partial(main, words), 40)
    assert (code, f"{BOLD}picture     faces  swapped  seconds  written{END}" in shown) == (1, True)
    assert f"{RED}failed{END}: nobody.png: expected a face to swap" in shown


def test_a_quiet_swap_of_several_says_why_one_failed(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["swap", "source.png", "source.png", "nobody.png", "-o", "out", "--store", str(booted.path), "--quiet"]
    assert main(words) == 1
    done = capfd.readouterr()
    assert (done.out, "failed: nobody.png: expected a face to swap" in done.err) == ("", True)


@pytest.mark.parametrize(
    ("settings", "is_painted"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
    ids=str,
)
def test_a_terminal_has_colours_unless_they_are_unwanted(
    settings: dict[str, str], is_painted: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert (RED in call_on_terminal(partial(main, ["inspect", "none.png"]))[1]) == is_painted


def test_elsewhere_colours_are_for_who_forces_them(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["inspect", "none.png"])
    assert "\033" not in capsys.readouterr().err
    monkeypatch.setenv("FORCE_COLOR", "1")
    main(["inspect", "none.png"])
    assert capsys.readouterr().err.startswith(f"{RED}morphstream inspect:{END} none.png: ")


@pytest.mark.parametrize(
    ("columns", "text", "shown"),
    [
        (80, "clip.mp4: frame 1 of 9", "clip.mp4: frame 1 of 9"),
        (24, "a-long-name-of-a-clip.mp4: 40 %", "a-long-na ... mp4: 40 %"),
        (24, "長い名前のクリップ.mp4: 40 %", "長い名前 ... 40 %"),
        (24, "two\nlines", "two lines"),
    ],
    ids=["it fits", "a long name", "wide letters", "a line break"],
)
def test_a_line_of_progress_is_cut_to_the_terminal(columns: int, text: str, shown: str) -> None:
    def show() -> int:
        show_line(text)
        show_line("")
        return 0

    assert call_on_terminal(show, columns)[1] == f"{CLEAR}{shown}{CLEAR}"
