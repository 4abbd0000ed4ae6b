"""A live input gives the newest frame, connects again, and ends without a thread."""

import threading
from collections.abc import Iterator
from fractions import Fraction

import pytest

from morphstream.artifact.errors import VideoError
from morphstream.media.live.input import LiveInput
from tests.media.live.fakes import FakeFeed, Given, connections, no_waits, picture, sound

_GONE = VideoError("camera: expected more pictures, seen none; plug it in")


@pytest.fixture(autouse=True)
def _leaves_no_thread() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def _levels(source: LiveInput) -> list[int]:
    levels = []
    while frame := source.read():
        levels.append(int(frame.frame[0, 0, 0]))
    return levels


def test_of_frames_that_are_not_read_the_newest_stays() -> None:
    is_read, is_there = threading.Event(), threading.Event()
    feed = FakeFeed([picture(1, 0), picture(2, 1), picture(3, 2), is_there.set, is_read.wait, picture(4, 3)])
    with LiveInput("camera", lambda: feed) as source:
        is_there.wait()
        frame = source.read()
        is_read.set()
        assert frame is not None
        assert (int(frame.frame[0, 0, 0]), frame.time) == (3, Fraction(2))
        assert _levels(source) == [4]
        assert (source.frames, source.dropped, source.has_ended, source.state) == (4, 2, True, "ended")
    assert feed.is_closed


def test_a_lost_connection_is_made_again_and_frames_may_have_another_size() -> None:
    is_read = threading.Event()
    second = FakeFeed([is_read.wait, picture(2, 0.5, (20, 10))])
    refused = VideoError("camera: expected one, seen none; plug it in")
    connect = connections(FakeFeed([picture(1, 7), _GONE], is_finite=False), refused, second)
    with LiveInput("camera", connect, waits=no_waits) as source:
        first = source.read()
        is_read.set()
        later = source.read()
        assert first is not None
        assert later is not None
        assert (first.frame.shape, later.frame.shape) == ((6, 8, 3), (10, 20, 3))
        assert later.time > first.time
        assert source.reconnects == 2


def test_it_says_why_and_when_it_connects_again() -> None:
    is_waiting = threading.Event()

    def waits() -> Iterator[float]:
        yield 8
        is_waiting.set()

    with LiveInput("camera", connections(_GONE), waits=waits) as source:
        while not source.reconnects:
            assert source.read(0.01) is None
        assert source.state == f"reconnecting in 8 s: {_GONE}"


def test_a_source_that_pauses_says_so_and_that_it_goes_on() -> None:
    now, goes_on = [0.0], threading.Event()
    feed = FakeFeed([picture(1, 0), goes_on.wait, picture(2, 9), goes_on.wait])
    with LiveInput("camera", lambda: feed, now=lambda: now[0]) as source:
        assert source.read() is not None
        assert source.state == "live"
        now[0] = 5
        assert source.state == "paused"
        assert source.read(0.01) is None
        assert not source.has_ended
        goes_on.set()
        assert source.read() is not None


def test_a_file_that_breaks_raises_where_it_is_read() -> None:
    with LiveInput("a.mp4", connections(FakeFeed([_GONE])), retries=False) as source:
        with pytest.raises(VideoError, match="expected more pictures"):
            source.read()
        assert source.has_ended


def test_a_file_without_pictures_is_refused_even_where_it_begins_anew_at_its_end() -> None:
    empty = LiveInput("a.mp4", lambda: FakeFeed([]), loop=True, retries=False)
    with empty, pytest.raises(VideoError, match=r"a\.mp4: expected pictures that can be decoded"):
        empty.read()


def test_a_file_begins_anew_at_its_end_and_times_go_on() -> None:
    goes_on = threading.Semaphore(1)
    items: list[Given] = [goes_on.acquire, picture(1, 0), goes_on.acquire, picture(2, 1)]
    with LiveInput("a.mp4", lambda: FakeFeed(list(items)), loop=True) as source:
        times = list[Fraction]()
        for _ in range(5):
            frame = source.read()
            assert frame is not None
            times.append(frame.time)
            goes_on.release()
        assert times == sorted(set(times))
        source.close()
        goes_on.release(2)


def test_sound_comes_apart_and_is_known_with_the_first_frame() -> None:
    feed = FakeFeed([sound(3), picture(1, 3), sound(Fraction(301, 100))], has_sound=True)
    with LiveInput("a.mp4", lambda: feed) as source:
        assert source.read() is not None
        assert source.has_sound
        assert source.read() is None
        assert [piece.time for piece in source.read_sound()] == [0, Fraction(1, 100)]
        assert source.read_sound() == []


def test_closing_ends_a_thread_that_waits_to_connect_again() -> None:
    with LiveInput("camera", connections(_GONE)) as source:
        while not source.reconnects:
            source.read(0.01)
