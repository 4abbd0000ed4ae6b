"""The progress of a rebuild is one line on a terminal, and elsewhere a line for each stage that was done."""

from io import StringIO

from stages.farm.view import View


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def drive(view: View) -> None:
    view.show({"a": 0.4, "b": 12.3})
    view.count("a", "3.2 s")
    view.count("b", None)
    view.show({"c": 1.0})
    view.clear()


def test_elsewhere_a_stage_that_was_done_has_a_line() -> None:
    stream = StringIO()
    drive(View(3, stream))
    assert stream.getvalue() == "a 3.2 s (1 of 3)\n"


def test_a_terminal_has_one_line_that_changes_and_goes() -> None:
    stream = Terminal()
    drive(View(3, stream))
    lines = ["", "0 of 3: a 0 s, b 12 s", "2 of 3: c 1 s", ""]
    assert stream.getvalue().split("\r\033[K") == lines
