"""Serve the admin page, from a thread of its own with its own event loop."""

import asyncio
import threading
from collections.abc import Collection
from concurrent.futures import Future
from contextlib import suppress

import uvicorn

from morphstream.closing import Closing
from morphstream.health.probe import url_of
from morphstream.live.listening import listen
from stages.admin.admin import Admin
from stages.admin.app import application, running

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  # hosts that no browser can open
_ENDING_S = 1  # for requests that are being answered


class AdminServer(Closing):
    """A server of the admin page, from when it is made until it is closed; a context manager.

    Attributes:
        admin: What it shows; of its event loop alone.
        port: The port that it listens on.
        url: Where it answers on this machine, such as ``http://127.0.0.1:8780``.
    """

    def __init__(self, admin: Admin, *, host: str = "127.0.0.1", port: int = 8780, names: Collection[str] = ()) -> None:
        """Listen and serve.

        Args:
            admin: What is shown.
            host: Name or address to listen on.
            port: 0 for any that is free.
            names: Further host names that requests may be for.

        Raises:
            OSError: The port is taken, or the host isn't this machine's.
        """
        self.admin, self._names = admin, (host, *names)
        self._socket = listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.url = url_of("localhost" if host in _EVERYWHERE else host, self.port)
        self._started = Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]()
        self._thread = threading.Thread(target=self._run, name="morphstream-admin", daemon=True)
        self._thread.start()
        try:
            self._loop, self._end = self._started.result()
        except BaseException:
            self._socket.close()
            raise

    def new_link(self) -> str:
        """Return a link that opens once, for one person."""
        made = Future[str]()
        self._loop.call_soon_threadsafe(lambda: made.set_result(self.admin.sessions.new_link()))
        return f"{self.url}/login?secret={made.result()}"

    def wait(self) -> None:
        """Return when the server has ended, which it does by itself at a fault alone."""
        self._thread.join()

    def close(self) -> None:
        """End the job that runs, and every stream, and free the port; returns when the thread has ended."""
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        """Serve until it is closed."""
        app = application(self.admin, names=self._names, port=self.port)
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="error",
            access_log=False,  # its lines would have the secrets of links
            server_header=False,
            lifespan="off",
            ws="none",
            http="h11",
            timeout_graceful_shutdown=_ENDING_S,
        )
        server, end = uvicorn.Server(config), asyncio.Event()
        async with running(self.admin):
            serving = asyncio.create_task(server.serve(sockets=[self._socket]))
            self._started.set_result((asyncio.get_running_loop(), end))
            await end.wait()
            self.admin.events.close()
            server.should_exit = True  # which is looked at ten times a second
            await serving
