"""The sessions of all pages: opened within a limit, and closed when their page is silent."""

import asyncio
import logging
import time

from morphstream.artifact.errors import UseError
from morphstream.live.choices import Choices
from morphstream.live.options import PageOptions
from morphstream.live.session import LiveSession
from morphstream.live.shared_input import SharedInput
from morphstream.live.stream import PageWorker

SILENT_S = 15.0
_CHECK_S = 1.0
_log = logging.getLogger("morphstream.live")


class LiveSessions:
    """The sessions of all pages, for one event loop."""

    def __init__(
        self,
        worker: PageWorker,
        choices: Choices,
        options: PageOptions,
        server_input: SharedInput | None,
        *,
        silent_s: float = SILENT_S,
    ) -> None:
        """Begin without a session.

        Args:
            worker: Opens streams.
            choices: That each session begins with.
            options: Of the page.
            server_input: The input of the program; None where it has none.
            silent_s: After which a session is closed whose page gives no sign of life.
        """
        self._silent_s = silent_s
        self._worker, self._choices, self._options, self._input = worker, choices, options, server_input
        self._sessions, self._names = dict[str, LiveSession](), set[str]()
        self._watch = asyncio.create_task(self._close_silent())

    def find(self, session: str) -> LiveSession | None:
        """Return a session by its id, which is a sign of life; None where there is none."""
        found = self._sessions.get(session)
        if found:
            found.touch()
        return found

    async def open(self) -> LiveSession:
        """Open a session with a stream of its own.

        Raises:
            UseError: There are too many.
            MorphstreamError: The worker refuses another stream.
        """
        numbers = range(1, self._options.most_sessions + 1)
        name = next((name for number in numbers if (name := f"page-{number}") not in self._names), None)
        if name is None:
            expected = f"page: expected {self._options.most_sessions} open pages at most, seen another"
            raise UseError(f"{expected}; close one, or raise --most-sessions")
        self._names.add(name)
        try:
            stream = await asyncio.to_thread(self._worker.open, name, self._choices.wanted)
            session = LiveSession(stream, self._choices, self._options, self._input)
        except BaseException:
            self._names.discard(name)
            raise
        self._sessions[session.id] = session
        return session

    async def end(self, session: LiveSession) -> None:
        """Close a session, if it is open."""
        if self._sessions.pop(session.id, None):
            name = session.stream.stats.name
            try:
                await session.close()
            finally:
                self._names.discard(name)

    async def close(self) -> None:
        """Close every session."""
        self._watch.cancel()
        await asyncio.gather(self._watch, *map(self.end, list(self._sessions.values())), return_exceptions=True)

    async def _close_silent(self) -> None:
        while True:
            await asyncio.sleep(min(_CHECK_S, self._silent_s))
            late_s = time.monotonic() - self._silent_s
            for session in [one for one in self._sessions.values() if one.touched_s < late_s]:
                _log.info("%s: closed, as its page was silent for %g s", session.stream.stats.name, self._silent_s)
                try:
                    await self.end(session)
                except Exception:  # noqa: BLE001  # the other pages are still watched
                    _log.exception("%s: couldn't be closed", session.stream.stats.name)
