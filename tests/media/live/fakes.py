"""What stands in for cameras, addresses and servers in these tests."""

import threading
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial

import numpy as np

from morphstream.artifact.errors import VideoError
from morphstream.frame import Frame
from morphstream.media.live.input import Feed
from morphstream.media.live.items import LiveFrame, Picture, Sound

Given = Picture | Sound | VideoError | Callable[[], object]


def grey(level: int, size_wh: tuple[int, int] = (8, 6)) -> Frame:
    """Return a frame of one colour."""
    return np.full((size_wh[1], size_wh[0], 3), level, np.uint8)


def picture(level: int, time: float | Fraction, size_wh: tuple[int, int] = (8, 6)) -> Picture:
    """Return a picture of one colour."""
    return Picture(Fraction(time), partial(grey, level, size_wh))


def sound(time: float | Fraction, count: int = 480) -> Sound:
    """Return silence."""
    return Sound(samples=np.zeros((count, 2), np.int16), time=Fraction(time))


class FakeFeed:
    """Gives items in turn, raises those that are errors, and calls those that are functions."""

    def __init__(self, items: Iterable[Given], *, is_finite: bool = True, has_sound: bool = False) -> None:
        self.has_sound, self.is_paced, self.is_finite = has_sound, False, is_finite
        self._items, self.is_closed = iter(items), False

    def read(self) -> Picture | Sound | None:
        """Return the next item."""
        for item in self._items:
            if isinstance(item, VideoError):
                raise item
            if isinstance(item, Picture | Sound):
                return item
            item()
        return None

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def connections(*feeds: Feed | VideoError) -> Callable[[], Feed]:
    """Return what opens feeds in turn, or raises."""
    left = iter(feeds)

    def connect() -> Feed:
        feed = next(left)
        if isinstance(feed, VideoError):
            raise feed
        return feed

    return connect


class FakeSink:
    """Notes what it is given; waits before each, or refuses."""

    def __init__(self, *, most: int | None = None, error: Exception | None = None) -> None:
        self.items, self.is_closed, self.may_go_on = list[LiveFrame | Sound](), False, threading.Event()
        self.may_go_on.set()
        self._most, self._error = most, error

    def put(self, item: LiveFrame | Sound | None) -> bool:
        """Note an item; return False once there are so many."""
        self.may_go_on.wait()
        if item:
            if self._error:
                raise self._error
            self.items.append(item)
        return self._most is None or len(self.items) < self._most

    def close(self) -> None:
        """Note it."""
        self.is_closed = True

    @property
    def levels(self) -> list[int]:
        """The colours of the frames."""
        return [int(item.frame[0, 0, 0]) for item in self.items if isinstance(item, LiveFrame)]


def no_waits() -> Iterator[float]:
    """Yield no time at all, as often as one asks."""
    while True:
        yield 0
