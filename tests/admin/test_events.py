"""Every page gets every event, in order, once; a slow one holds nobody, and one that was away gets what it missed."""

import asyncio
from collections.abc import AsyncIterator, Callable

from stages.admin.events import AGAIN, Events
from tests.admin.browsing import Browser


def always() -> bool:
    return True


async def take(stream: AsyncIterator[bytes], count: int) -> list[str]:
    """Return the names and data of so many events."""
    found: list[str] = []
    while len(found) < count:
        fields = dict(line.split(": ", 1) for line in (await anext(stream)).decode().rstrip("\n").split("\n"))
        if "event" in fields:
            found.append(f"{fields['event']} {fields['data']}")
    return found


def test_every_page_gets_every_event_in_order_though_another_reads_nothing() -> None:
    async def run() -> None:
        events = Events()
        slow, quick = events.stream(0, always), events.stream(0, always)
        assert await anext(slow) == b"retry: 1000\n\n"
        for number in range(5):
            events.publish("log", str(number))
        assert await take(quick, 5) == [f"log {number}" for number in range(5)]
        events.publish("log", "later")
        assert await take(quick, 1) == ["log later"]
        assert await take(slow, 6) == [*(f"log {number}" for number in range(5)), "log later"]

    asyncio.run(run())


def test_a_page_that_waits_is_woken_and_one_whose_session_ends_is_ended() -> None:
    async def run() -> None:
        events, is_allowed = Events(), [True]
        stream = events.stream(0, lambda: is_allowed[0], quiet_s=0.01)
        waiting = asyncio.create_task(take(stream, 1))
        await asyncio.sleep(0)
        events.publish("job", "1")
        assert await waiting == ["job 1"]
        assert await anext(stream) == b": quiet\n\n"
        is_allowed[0] = False
        assert [one async for one in stream] == []
        other = events.stream(events.number, always)
        await anext(other)
        events.close()
        assert [one async for one in other] == []

    asyncio.run(run())


def test_a_page_that_was_away_gets_what_it_missed_or_asks_for_everything_anew() -> None:
    async def run() -> None:
        events = Events(most_events=3)
        for number in range(1, 6):
            events.publish("log", str(number))
        assert await take(events.stream(2, always), 3) == ["log 3", "log 4", "log 5"]
        away, of_another_server = events.stream(1, always), events.stream(99, always)
        assert await take(away, 1) == await take(of_another_server, 1) == [f"{AGAIN} "]
        events.publish("log", "6")
        assert await take(away, 1) == ["log 6"]

    asyncio.run(run())


def test_of_events_that_replace_each_other_a_page_gets_the_last_alone() -> None:
    async def run() -> None:
        events = Events()
        for number in range(100):
            events.publish("matrix", str(number), replaces="matrix")
            events.publish("log", str(number))
        found = await take(events.stream(0, always), 101)
        assert [one for one in found if one.startswith("matrix")] == ["matrix 99"]
        assert len(found) == 101

    asyncio.run(run())


def test_data_of_several_lines_is_sent_as_several() -> None:
    async def run() -> None:
        events = Events()
        events.publish("log", "a\nb\r\nid: 7")
        stream = events.stream(0, always)
        await anext(stream)
        assert await anext(stream) == b"id: 1\nevent: log\ndata: a\ndata: b\ndata: id: 7\n\n"

    asyncio.run(run())


def test_two_people_see_each_other_s_work(visit: Callable[[], Browser]) -> None:
    one, other = visit(), visit()
    with other.events() as events:
        one.post("/rebuild", {"group": "masks"})
        shown = next(event for event in events if "event: job-1" in event and "done" in event)
        assert "Rebuild masks" in shown
        assert "person 1" in shown
    number = max(int(line[4:]) for line in shown.splitlines() if line.startswith("id: "))
    with other.events(f"/events?after={number - 1}") as again:
        assert next(event for event in again if event.startswith("id")) == shown
