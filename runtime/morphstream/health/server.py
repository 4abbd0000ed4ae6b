"""Answers ``/livez``, ``/readyz`` and ``/metrics`` over HTTP, from a thread of its own.

A request is answered and its connection closed. Clients wait for nobody: all are served by one event loop, a request
has `MOST_BYTES` and each connection a time, and when there are too many the oldest makes room.

Source: RFC 9112 for the form of a request, RFC 9110 for what it is answered.
"""

import asyncio
import contextlib
import os
import socket
import threading
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import Self

from morphstream.health.metrics import CONTENT_TYPE, Metrics

MOST_BYTES = 8192  # of a request; Prometheus and kubelet send some 300
MOST_CLIENTS = 64
_MOST_IGNORED = 65536  # of a body that nobody asked for; closing before it is read would lose the answer
_PATHS = ("/livez", "/readyz", "/metrics")


class HealthServer:
    """A server of one process' health; a context manager, and it serves inside."""

    def __init__(self, metrics: Metrics, *, host: str = "127.0.0.1", port: int = 9300, timeout_s: float = 5.0) -> None:
        """Prepare a server.

        Args:
            metrics: What it tells.
            host: Name or address to listen on.
            port: 0 for any that is free.
            timeout_s: After which a connection is closed, whatever it waits for.
        """
        self._metrics, self._host, self._port, self._timeout_s = metrics, host, port, timeout_s
        self._clients: dict[asyncio.Task[None], None] = {}  # oldest first
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Listen, and serve from now on.

        Raises:
            OSError: The port is taken, or the host isn't this machine's.
        """
        listener = _listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        arguments = (self._loop, listener)
        self._thread = threading.Thread(target=self._run, args=arguments, name="morphstream-health", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it answers, such as ``http://127.0.0.1:9300``."""
        return url_of(self._host, self._port)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def is_serving(self) -> bool:
        """Whether its thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """Close every connection and free the port."""
        if self._loop and self._thread:
            with contextlib.suppress(RuntimeError):  # closed before
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def _run(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        with listener, asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._attend, sock=listener, limit=MOST_BYTES)
        await self._stopping.wait()
        server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        client.add_done_callback(lambda client: self._part(client, writer))
        self._clients[client] = None
        if len(self._clients) > MOST_CLIENTS:
            oldest = next(iter(self._clients))
            del self._clients[oldest]
            oldest.cancel()

    def _part(self, client: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self._clients.pop(client, None)
        if client.cancelled():
            writer.transport.abort()
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                writer.write(await self._answer(reader))
                writer.write_eof()
                ignored = 0
                while ignored < _MOST_IGNORED and (data := await reader.read(MOST_BYTES)):
                    ignored += len(data)
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is one, and so is a socket that is gone
            writer.transport.abort()  # the client's affair

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        request = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(request) != 3 or not request[2].startswith("HTTP/1."):
            return _response(HTTPStatus.BAD_REQUEST)
        method, path = request[0], request[1].split("?", 1)[0]
        has_body = method != "HEAD"
        if path not in _PATHS:
            return _response(HTTPStatus.NOT_FOUND, f"expected {', '.join(_PATHS)}", has_body=has_body)
        if method not in {"GET", "HEAD"}:
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, headers="Allow: GET, HEAD\r\n")
        if path == "/metrics":
            return _response(HTTPStatus.OK, self._metrics.text(), content_type=CONTENT_TYPE, has_body=has_body)
        if path == "/readyz" and (reason := self._metrics.unready) is not None:
            return _response(HTTPStatus.SERVICE_UNAVAILABLE, reason, has_body=has_body)
        return _response(HTTPStatus.OK, "ready" if path == "/readyz" else "alive", has_body=has_body)


def url_of(host: str, port: int) -> str:
    """Return the address of a server."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        seen = error if isinstance(error, socket.gaierror) or not error.errno else os.strerror(error.errno)
        raise OSError(f"{url_of(host, port)}: expected a port to listen on, seen {seen}; take another") from None


def _response(
    status: HTTPStatus,
    text: str = "",
    *,
    headers: str = "",
    content_type: str = "text/plain; charset=utf-8",
    has_body: bool = True,
) -> bytes:
    text = text or status.phrase
    body = (text if text.endswith("\n") else f"{text}\n").encode("utf-8", "replace")
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nDate: {formatdate(usegmt=True)}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n{headers}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (body if has_body else b"")
