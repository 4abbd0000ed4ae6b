"""An error anywhere in a run ends every thread and names its frame; the frames before that one were written."""

import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from morphstream.artifact.errors import FrameError, SessionError
from morphstream.frame import Frame
from morphstream.stream.run import Late, run
from tests.stream import KeptFrames, PlayedSource, ignore

PLACES = ["source", "first step", "second step", "sink"]


def raises(error: BaseException, at: int) -> Callable[[int], None]:
    """Return what raises an error at one index."""

    def check(index: int) -> None:
        if index == at:
            raise error

    return check


def failed(
    failures: dict[str, Callable[[int], object]], *, count: int = 20, late: Late = "wait"
) -> tuple[BaseException, list[int]]:
    """Return what a run raises that fails at some places, and the indices of the frames that were written."""

    def step(place: str) -> Callable[[Frame], Frame]:
        def checked(frame: Frame) -> Frame:
            if place in failures:
                failures[place](int(frame[0, 0, 0]))
            return frame

        return checked

    source, sink = PlayedSource(count, failures.get("source", ignore)), KeptFrames(failures.get("sink", ignore))
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # each test says which
        run(source, (step("first step"), step("second step")), sink, late=late)
    return caught.value, sink.indices


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("at", [1, 7, 19])
def test_a_refusal_names_its_frame_in_one_line_and_the_frames_before_are_written(place: str, at: int) -> None:
    refusal = SessionError("engine: expected an answer, seen none; ask again")
    error, written = failed({place: raises(refusal, at)})
    which = f"after frame {at - 1} ({(at - 1) / 25:.3f} s)" if place == "source" else f"frame {at} ({at / 25:.3f} s)"
    assert type(error) is FrameError
    assert str(error) == f"{which}: {refusal}"
    assert error.__cause__ is refusal
    assert written == list(range(at))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [ZeroDivisionError, OSError, SystemExit])
def test_any_other_error_stays_what_it_is_and_keeps_its_traceback(place: str, kind: type[BaseException]) -> None:
    error = kind("a bug")
    seen, written = failed({place: raises(error, 7)})
    assert seen is error
    assert "check" in [entry.name for entry in traceback.extract_tb(seen.__traceback__)]
    where = "after frame 6 (0.240 s)" if place == "source" else "frame 7 (0.280 s)"
    assert getattr(seen, "__notes__", []) == ([where] if isinstance(error, Exception) else [])
    assert written == list(range(7))


@pytest.mark.parametrize("kind", [SessionError, OSError])
def test_an_error_before_the_first_frame_stays_as_it_is(kind: type[Exception]) -> None:
    error = kind("no camera")
    assert failed({"source": raises(error, 0)}) == (error, [])
    assert not hasattr(error, "__notes__")


def test_of_several_errors_the_earliest_frames_is_raised() -> None:
    errors = {place: SessionError(place) for place in PLACES}
    later = {"source": 9, "first step": 7, "second step": 5, "sink": 3}
    for place in reversed(PLACES):
        error, written = failed({place: raises(errors[place], at) for place, at in later.items()})
        assert error.__cause__ is errors[place]
        assert written == list(range(later.pop(place)))


@pytest.mark.parametrize("place", PLACES)
def test_a_live_run_stops_at_an_error_too(place: str) -> None:
    error, written = failed({place: raises(SessionError("no"), 9)}, count=10, late="drop")  # the last is never dropped
    assert type(error) is FrameError
    assert written == sorted(set(written) - {9})


# Programs of their own are interrupted, not the one that runs the tests, whatever that does at an interrupt.
INTERRUPTED = """
import signal, sys, threading
from morphstream.stream.run import run
from tests.stream import KeptFrames, PlayedSource
signal.signal(signal.SIGINT, signal.default_int_handler)
at, sink = int(sys.argv[1]), KeptFrames()
def say(index):
    if index == at:
        print("reading", flush=True)
        threading.Event().wait(float(sys.argv[2]))
try:
    run(PlayedSource(20, say), (lambda frame: frame,), sink)
except KeyboardInterrupt:
    print(sink.indices == list(range(at))[: len(sink.indices)], len(threading.enumerate()))
"""


@contextmanager
def reading(at: int, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Yield a program whose source is at a frame, and takes so long for it; at the end it is killed."""
    command, pipe = [sys.executable, "-c", INTERRUPTED, str(at), str(seconds)], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "reading\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("at", [0, 3])
def test_ctrl_c_in_the_caller_ends_all_threads(at: int) -> None:
    with reading(at, 1) as process:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("True 1\n", "")
        assert process.returncode == 0


def test_a_source_that_never_returns_cannot_keep_the_process_from_a_second_ctrl_c() -> None:
    with reading(0, 3600) as process:
        for _ in range(600):
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGINT)
            threading.Event().wait(0.1)
        assert process.poll() is not None
