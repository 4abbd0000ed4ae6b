"""Serve the live page, from a thread of its own with its own event loop."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.closing import Closing
from morphstream.health.probe import url_of
from morphstream.live.options import PageOptions

try:
    import aiortc  # noqa: F401  # it, Starlette and uvicorn are an extra
    import uvicorn

    from morphstream.live.access import Access
    from morphstream.live.api import PageApi, state_of
    from morphstream.live.http import BriefConnection
except ModuleNotFoundError as error:
    raise MorphstreamError(
        f"page: expected aiortc, Starlette and uvicorn, seen none ({error}); run: pip install 'morphstream[live]'"
    ) from error

from morphstream.live.choices import Choices, Person
from morphstream.live.listening import listen
from morphstream.live.sessions import LiveSessions
from morphstream.live.shared_input import PageInput, SharedInput
from morphstream.live.stream import PageWorker
from morphstream.live.tuning import tune_aiortc

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  # hosts that no browser can open
_ENDING_S = 1  # for requests that are being answered


class PageServer(Closing):
    """A server of the live page, from when it is made until it is closed; a context manager.

    Attributes:
        port: The port that it listens on.
        url: Where it answers, such as ``http://127.0.0.1:8765``.
        link: What to open in a browser of this machine: the URL with the token.
    """

    def __init__(
        self,
        worker: PageWorker,
        options: PageOptions | None = None,
        *,
        people: Sequence[Person] = (),
        server_input: PageInput | None = None,
        swap_models: Callable[[], Mapping[str, bool]] = dict,
    ) -> None:
        """Listen and serve.

        Args:
            worker: Swaps the frames of all pages.
            options: Where and to whom; None for this machine alone.
            people: Who may be put in from the start; each page begins with the first one for every face.
            server_input: An input that pages may show in place of the browser's camera; the caller closes it, later.
            swap_models: Returns the names of the swap models that pages may choose, each with whether it is installed.

        Raises:
            OSError: The port is taken, or the host isn't this machine's.
            MorphstreamError: The certificate or its key can't be used.
        """
        self._worker, self._options = worker, options or PageOptions()
        self._swap_models, self._given = swap_models, server_input
        self._choices = Choices.of(people, worker.pipeline.look)
        self._socket = listen(self._options.host, self._options.port)
        self.port: int = self._socket.getsockname()[1]
        scheme = "https" if self._options.certificate else "http"
        self.url = url_of(self._options.host, self.port).replace("http", scheme, 1)
        place = self.url if self._options.host not in _EVERYWHERE else f"{scheme}://localhost:{self.port}"
        self.link = f"{place}/?token={self._options.token}"
        self._started = Future[uvicorn.Server]()
        self._thread = threading.Thread(target=self._run, name="morphstream-page", daemon=True)
        self._thread.start()
        try:
            self._server = self._started.result()
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """End every session, and free the port; returns when every thread has ended."""
        self._server.should_exit = True  # which is looked at ten times a second
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
        tune_aiortc()
        pipeline, options = self._worker.pipeline, self._options
        choices, shared = self._choices, SharedInput(self._given) if self._given else None

        def state() -> Mapping[str, object]:
            models = self._swap_models()
            return state_of(options, choices, models, pipeline.swap_model, has_input=shared is not None)

        sessions = LiveSessions(self._worker, choices, options, shared)
        try:
            app = PageApi(sessions, pipeline.analyser, options.max_pixels, state).app()
            names, is_tls = (options.host, *options.names), options.certificate is not None
            server = uvicorn.Server(_configured(Access(app, token=options.token, names=names, is_tls=is_tls), options))
            self._started.set_result(server)
            await server.serve(sockets=[self._socket])
        finally:
            await sessions.close()
            if shared:
                shared.close()


def _configured(app: Access, options: PageOptions) -> uvicorn.Config:
    """Return uvicorn's settings, with the certificate read."""
    config = uvicorn.Config(
        app,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        http=BriefConnection,
        timeout_graceful_shutdown=_ENDING_S,
    )
    try:
        config.load()
    except OSError as error:  # of SSL, too
        seen = f"seen {error.strerror or message_of(error)}; name others"
        raise MorphstreamError(f"{options.certificate}: expected a certificate in PEM and its key, {seen}") from None
    return config
