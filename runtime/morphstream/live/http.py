"""HTTP connections that end: each has a time, and when there are too many the oldest makes room."""

import asyncio
import time

from uvicorn.protocols.http.h11_impl import H11Protocol

_MOST = 64  # a page has a few
_LONGEST_S = 45.0  # more than a request may take


class BriefConnection(H11Protocol):
    """A connection of one request, which a client that sends or reads nothing can't keep."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as of uvicorn
        """Begin, and let the oldest make room."""
        self.began_s = time.monotonic()
        self._end = self.loop.call_later(_LONGEST_S, transport.abort)
        super().connection_made(transport)
        opened = [
            one for one in self.connections if isinstance(one, BriefConnection) and not one.transport.is_closing()
        ]
        if len(opened) > _MOST:
            min(opened, key=lambda one: one.began_s).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._end.cancel()
        super().connection_lost(exc)
