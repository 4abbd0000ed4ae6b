"""The progress of a rebuild: a line for each stage that was done, what is running on a terminal, or JSON."""

import json
from io import StringIO

import pytest

from stages.farm.view import JsonView, TextView, View

DONE = "a 3.2 s (1 of 4)\nd restored from DVC's cache (3 of 4)\n"
CLEARED = "\033[1A\033[2K"  # the line above


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def drive(view: View) -> None:
    view.start("a")
    view.show({"a": 0.4, "b": 12.3}, [])
    view.show({}, [("a", "compile cpu a")])
    view.end("a", "run", 3.21)
    view.end("b", "up to date")
    view.show({"c": 1.0}, [])
    view.end("c", "failed", 2.0)
    view.end("d", "restored from DVC's cache")
    view.show({}, [])


def test_elsewhere_a_stage_that_was_done_has_a_line() -> None:
    stream = StringIO()
    drive(TextView(4, stream))
    assert stream.getvalue() == DONE


def test_a_terminal_shows_below_these_lines_what_is_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    drive(TextView(4, stream))
    shown = stream.getvalue()
    above = [
        shown.index(line) for line in ("a 0 s\nb 12 s\n0 of 4", "a 3.2 s (1 of 4)\n", "c 1 s\n2 of 4", "d restored")
    ]
    assert above == sorted(above)
    assert shown.rindex(CLEARED) > above[-1]
    assert shown.count("\033[?25l") == shown.count("\033[?25h")  # the cursor is hidden, and comes back


def test_a_terminal_without_control_codes_has_lines_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    drive(TextView(4, stream))
    assert stream.getvalue() == DONE


def test_a_program_gets_an_object_for_each_thing_that_happens() -> None:
    stream = StringIO()
    drive(JsonView(4, stream))
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"event": "start", "stage": "a", "done": 0, "total": 4},
        {"event": "line", "stage": "a", "output": "compile cpu a", "done": 0, "total": 4},
        {"event": "done", "stage": "a", "how": "run", "seconds": 3.21, "done": 1, "total": 4},
        {"event": "done", "stage": "b", "how": "up to date", "done": 2, "total": 4},
        {"event": "failed", "stage": "c", "seconds": 2.0, "done": 2, "total": 4},
        {"event": "done", "stage": "d", "how": "restored from DVC's cache", "done": 3, "total": 4},
    ]
