"""Events to all open pages, as server-sent events: named ones, in order, and none is lost unseen.

All pages read one bounded list, each from where it is. So a slow page holds nobody, and one that was away gets what it
missed; where that is no longer in the list, it gets the event ``again`` in its place, and asks for everything anew.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

AGAIN = "again"
_MOST_EVENTS = 2000
_MOST_LETTERS = 1 << 22  # of all events together
_QUIET_S = 15.0  # then a comment follows, by which a page and those between see that the connection is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event.

    Attributes:
        number: Of all events since the server started, from 1.
        name: What a page listens for, such as ``job``.
        data: What it gets, HTML or nothing.
        replaces: Of two events with the same text here, a page that has seen neither gets the later one alone; empty
            for an event that counts by itself.
    """

    number: int
    name: str
    data: str
    replaces: str

    def __bytes__(self) -> bytes:
        """Return it as a page reads it."""
        data = "".join(f"data: {line}\n" for line in self.data.splitlines() or [""])
        return f"id: {self.number}\nevent: {self.name}\n{data}\n".encode()


class Events:
    """Holds the latest events; for one event loop."""

    def __init__(self, *, most_events: int = _MOST_EVENTS) -> None:
        self._events, self._number, self._letters = deque[Event](), 0, 0
        self._most_events, self._is_open = most_events, True
        self._arrived = asyncio.Event()

    @property
    def number(self) -> int:
        """Number of the last event, 0 before the first: a page that is made now has seen those up to it."""
        return self._number

    def publish(self, name: str, data: str = "", *, replaces: str = "") -> None:
        """Send an event to all open pages; see `Event`."""
        self._number += 1
        self._events.append(Event(number=self._number, name=name, data=data, replaces=replaces))
        self._letters += len(data)
        while len(self._events) > self._most_events or self._letters > _MOST_LETTERS:
            self._letters -= len(self._events.popleft().data)
        self._wake()

    def close(self) -> None:
        """End the streams of all pages."""
        self._is_open = False
        self._wake()

    async def stream(
        self, seen: int, is_allowed: Callable[[], bool], quiet_s: float = _QUIET_S
    ) -> AsyncIterator[bytes]:
        """Yield events as a page reads them, until it goes, may see no more, or this is closed.

        Args:
            seen: Number of the last event that the page has seen.
            is_allowed: Whether it may see more; asked before each event, and every `quiet_s`.
            quiet_s: How long nothing is sent at the most.
        """
        if seen > self._number:  # of a server before this one
            seen = -1
        yield b"retry: 1000\n\n"
        while self._is_open and is_allowed():
            arrived, last = self._arrived, self._number
            for event in self._after(seen):
                yield bytes(event)
            seen = last
            try:
                async with asyncio.timeout(quiet_s):
                    await arrived.wait()
            except TimeoutError:
                yield b": quiet\n\n"

    def _after(self, seen: int) -> list[Event]:
        """Return the events after one, but for those that a later one replaces; ``again`` where some are gone."""
        if seen < self._number - len(self._events):
            return [Event(number=self._number, name=AGAIN, data="", replaces="")]
        new = [event for event in self._events if event.number > seen]
        last = {event.replaces: event.number for event in new}
        return [event for event in new if not event.replaces or last[event.replaces] == event.number]

    def _wake(self) -> None:
        self._arrived.set()
        self._arrived = asyncio.Event()
