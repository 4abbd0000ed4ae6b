"""A session ends when its page is silent, and not while it lives."""

import asyncio

from morphstream.face.look import Look
from morphstream.live.choices import Choices
from morphstream.live.options import PageOptions
from morphstream.live.sessions import LiveSessions
from tests.live import MirroringWorker
from tests.live.browsing import until


def test_a_silent_session_is_closed_and_one_that_is_asked_for_is_not(worker: MirroringWorker) -> None:
    async def run() -> None:
        sessions = LiveSessions(worker, Choices(look=Look()), PageOptions(), None, silent_s=0.1)
        kept, silent = await sessions.open(), await sessions.open()
        await until(lambda: (sessions.find(kept.id), silent.stream.has_ended)[1])
        assert sessions.find(kept.id) is kept
        assert not kept.stream.has_ended
        assert sessions.find(silent.id) is None
        assert (await sessions.open()).stream.stats.name == "page-2"
        await sessions.close()
        assert all(stream.has_ended for stream in worker.streams)

    asyncio.run(run())
