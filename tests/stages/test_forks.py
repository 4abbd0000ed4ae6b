"""Forked calls run side by side; one that refuses says so in its words, and none outlives the block."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from morphstream.artifact.errors import MorphstreamError, ToolchainMismatchError
from stages.forks import Forks

LONG_S = 60.0


def write(path: Path) -> None:
    path.write_text(str(os.getpid()), "utf-8")


def wait_for(path: Path) -> None:
    """Wait until a file is there, which another call writes."""
    while not path.exists():
        time.sleep(0.005)


def refuse(error: Exception) -> None:
    raise error


def end(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(LONG_S)


def sleep_tidily(begun: Path) -> None:
    """Write a file, and remove it when interrupted."""
    try:
        write(begun)
        time.sleep(LONG_S)
    finally:
        begun.unlink()


def test_calls_run_in_processes_of_their_own_side_by_side(tmp_path: Path) -> None:
    with Forks(2) as forks:
        forks.start("first", partial(wait_for, tmp_path / "second"))
        forks.start("second", partial(write, tmp_path / "second"))
        forks.wait()
    assert int((tmp_path / "second").read_text("utf-8")) != os.getpid()


def test_no_more_run_at_once_than_may(tmp_path: Path) -> None:
    with Forks(1) as forks:
        forks.start("first", partial(wait_for, tmp_path / "go"))
        forks.start("second", partial(write, tmp_path / "second"))
        time.sleep(0.1)
        assert not (tmp_path / "second").exists()
        write(tmp_path / "go")
        forks.wait()
    assert (tmp_path / "second").exists()


def test_some_are_waited_for_while_others_run(tmp_path: Path) -> None:
    with Forks(2) as forks:
        forks.start("slow", partial(wait_for, tmp_path / "go"))
        forks.start("fast", partial(write, tmp_path / "fast"))
        forks.wait(["fast", "none"])
        assert (tmp_path / "fast").exists()
        write(tmp_path / "go")
        forks.wait()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(
            partial(refuse, MorphstreamError("a: expected b, seen c")), "^a: expected b, seen c$", id="refusal"
        ),
        pytest.param(
            partial(refuse, ToolchainMismatchError("targets.a", "openvino", "1", "2")),
            "this machine has 2; install 1 or change the target$",
            id="refusal with attributes",
        ),
        pytest.param(partial(refuse, FileNotFoundError(2, "none", "a.onnx")), "^a.onnx: expected a file", id="system"),
        pytest.param(partial(end, signal.SIGKILL), "one: expected its process to end with 0, seen -9", id="killed"),
    ],
)
def test_a_call_that_fails_is_a_refusal(call: Callable[[], None], message: str) -> None:
    with pytest.raises(MorphstreamError, match=message), Forks(2) as forks:  # noqa: PT012
        forks.start("one", call)
        forks.wait()


# A process of its own, as pytest's has what a forked one would be disturbed by: threads, hooks, warnings that raise.
REFUSED = """
import sys
from functools import partial
from pathlib import Path
from morphstream.artifact.errors import MorphstreamError
from stages.forks import Forks
from tests.stages.test_forks import refuse, sleep_tidily, wait_for
begun = Path(sys.argv[1])
try:
    with Forks(2) as forks:
        forks.start("long", partial(sleep_tidily, begun))
        wait_for(begun)
        forks.start("bad", partial(refuse, MorphstreamError("no")))
        forks.wait()
except MorphstreamError as error:
    print(error, begun.exists())
"""


def test_what_still_runs_is_interrupted_and_tidies_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", REFUSED, str(tmp_path / "begun")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONG_S / 2)
    assert (done.stdout, done.stderr) == ("no False\n", "")
