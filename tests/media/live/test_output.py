"""A live output never holds the run up, connects again, and ends."""

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest

from morphstream.artifact.errors import VideoError
from morphstream.media.live.output import LiveOutput, Sink
from tests.media.live.fakes import FakeSink, grey, no_waits, sound

_GONE = VideoError("rtmp://host/...: expected it to take the stream, seen Connection refused; look at its server")


@pytest.fixture(autouse=True)
def _leaves_no_thread() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def _opens(*sinks: FakeSink) -> Callable[[bool], Sink]:
    left = iter(sinks)
    return lambda _: next(left)


def test_frames_and_sound_come_in_their_order() -> None:
    sink = FakeSink()
    with LiveOutput("a.mkv", _opens(sink), retries=False) as output:
        output.start(has_sound=True)
        output.write(grey(1), Fraction(0))
        output.write_sound(sound(0))
        output.write(grey(2), Fraction(1, 25))
    assert [type(item).__name__ for item in sink.items] == ["LiveFrame", "Sound", "LiveFrame"]
    assert (output.written, output.dropped, output.state, output.error, sink.is_closed) == (2, 0, "ended", None, True)


def test_an_output_that_is_slow_gets_the_newest_frames_and_all_sound() -> None:
    sink = FakeSink()
    sink.may_go_on.clear()
    with LiveOutput("rtmp", _opens(sink), retries=True) as output:
        output.start(has_sound=True)
        for level in range(9):
            output.write(grey(level), Fraction(level))
            output.write_sound(sound(level))
        sink.may_go_on.set()
    assert sink.levels[-2:] == [7, 8]
    assert output.dropped == 9 - len(sink.levels)
    assert len(sink.items) == len(sink.levels) + 9


def test_a_lost_connection_is_made_again_and_the_others_go_on() -> None:
    second = FakeSink()
    with LiveOutput("rtmp", _opens(FakeSink(error=_GONE), second), retries=True, waits=no_waits) as output:
        output.start(has_sound=False)
        output.write(grey(1), Fraction(0))
        while not output.reconnects:
            threading.Event().wait(0.01)
        output.write(grey(2), Fraction(1))
    assert second.levels == [2]
    assert (output.reconnects, output.written, output.error) == (1, 1, None)


def test_it_says_why_and_when_it_connects_again() -> None:
    with LiveOutput("rtmp", _opens(FakeSink(error=_GONE)), retries=True, waits=lambda: iter([8])) as output:
        output.start(has_sound=False)
        output.write(grey(1), Fraction(0))
        while not output.reconnects:
            threading.Event().wait(0.01)
        assert output.state == f"reconnecting in 8 s: {_GONE}"


def test_what_cannot_be_tried_again_ends_in_one_line() -> None:
    full = OSError(28, "No space left on device", "a.mkv")
    with LiveOutput("a.mkv", _opens(FakeSink(error=full)), retries=False) as output:
        output.start(has_sound=False)
        output.write(grey(1), Fraction(0))
    assert output.error is full
    assert output.state == (
        "failed: a.mkv: expected room to write, seen No space left on device; make room there, or name another place"
    )


def test_a_window_that_is_closed_takes_no_more() -> None:
    with LiveOutput("window", _opens(FakeSink(most=1)), retries=False) as output:
        output.start(has_sound=False)
        output.write(grey(1), Fraction(0))
        while not output.has_ended:
            threading.Event().wait(0.01)
        output.write(grey(2), Fraction(1))
    assert (output.state, output.error) == ("ended", None)


def test_one_that_never_began_closes() -> None:
    with LiveOutput("window", _opens(), retries=False) as output:
        assert output.state == "waiting for frames"
