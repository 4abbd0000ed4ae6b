"""Programs run side by side: a number of them at once, one at a time on a GPU of its own, and none is left behind."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.farm.workers import Ended, Workers

TIDY = """
import pathlib, sys, time
path = pathlib.Path(sys.argv[1])
try:
    path.touch()
    time.sleep(60)
finally:
    path.unlink()
"""


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Give workers for two programs at once."""
    with Workers(2) as two:
        yield two


def wait_for(workers: Workers) -> Ended:
    (ended,) = workers.ended(30)
    return ended


def test_a_program_that_ended_is_returned_once_with_its_output_and_exit_status(workers: Workers) -> None:
    workers.start("a", "WORD=hello sh -c 'echo $WORD; echo there >&2; exit 3'", None)
    ended = wait_for(workers)
    assert (ended.name, ended.code, ended.output) == ("a", 3, "hello\nthere\n")
    assert workers.ended(0) == []


def test_two_run_at_once_and_one_on_a_gpu_of_its_own(workers: Workers) -> None:
    workers.start("a", "sleep 60", "sm89")
    assert not workers.can_start("sm89")
    assert workers.can_start("sm86")
    assert workers.can_start(None)
    workers.start("b", "true", None)
    assert not workers.can_start(None)
    assert wait_for(workers).name == "b"
    assert workers.can_start(None)
    assert set(workers.seconds()) == {"a"}


def test_nothing_is_waited_for_when_nothing_runs(workers: Workers) -> None:
    start = time.monotonic()
    assert workers.ended(60) == []
    assert time.monotonic() - start < 30


def test_leaving_interrupts_what_runs_and_lets_it_tidy_up(tmp_path: Path) -> None:
    program, begun = tmp_path / "tidy.py", tmp_path / "begun"
    program.write_text(TIDY, "utf-8")
    with Workers(1) as workers:
        workers.start("a", f"{sys.executable} {program} {begun}", None)
        while not begun.exists():
            time.sleep(0.01)
    assert not begun.exists()


def test_a_program_that_ignores_the_interrupt_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.farm.workers._STOPS", ((0.0, signal.SIGINT), (0.1, signal.SIGKILL)))
    start = time.monotonic()
    with Workers(1) as workers:
        workers.start("a", "sh -c 'trap \"\" INT; sleep 60'", None)
        time.sleep(0.2)
    assert time.monotonic() - start < 30
