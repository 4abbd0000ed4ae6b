"""Answers ``/livez``, ``/readyz`` and ``/metrics`` over HTTP, from threads of its own.

A request is answered and its connection closed. Clients wait for nobody: each has a thread, a request has `MOST_BYTES`
and each connection a time, and when there are too many the oldest makes room.

Source: RFC 9112 for the form of a request, RFC 9110 for what it is answered.
"""

import contextlib
import os
import re
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Self

from morphstream.health.metrics import CONTENT_TYPE, Metrics
from morphstream.health.probe import url_of

MOST_BYTES = 8192  # of a request; Prometheus and kubelet send some 300
MOST_CLIENTS = 64
_MOST_IGNORED = 65536  # of a body that nobody asked for; closing before it is read would lose the answer
_PATHS = ("/livez", "/readyz", "/metrics")
_Request = socket.socket | tuple[bytes, socket.socket]  # of socketserver; a socket where it serves TCP
_REQUEST = re.compile(r"(\S+) ([^\s?]+)(?:\?\S*)? HTTP/1\.\S*\r\n")


class HealthServer(ThreadingTCPServer):  # not an HTTPServer, which asks DNS for its own name
    """A server of one process' health: it listens when made, is a context manager, and serves inside.

    Attributes:
        url: Where it answers, such as ``http://127.0.0.1:9300``.
        port: The port that it listens on.
    """

    def __init__(self, metrics: Metrics, *, host: str = "127.0.0.1", port: int = 9300, timeout_s: float = 5.0) -> None:
        """Listen, so that a client's connection waits.

        Args:
            metrics: What it serves.
            host: Name or address to listen on.
            port: 0 for any that is free.
            timeout_s: After which a connection is closed, whatever it waits for.

        Raises:
            OSError: The port is taken, or the host isn't this machine's.
        """
        super().__init__((host, port), _Connection, bind_and_activate=False)
        self.socket.close()
        self.socket = _listen(host, port)
        self.port: int = self.socket.getsockname()[1]
        self.url = url_of(host, self.port)
        self.metrics, self.timeout_s = metrics, timeout_s
        self._clients: dict[_Request, socket.socket] = {}  # oldest first
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, name="morphstream-health", daemon=True)

    def __enter__(self) -> Self:
        """Serve from now on."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_serving(self) -> bool:
        """Whether its thread is alive."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Close every connection and free the port; returns when every thread has ended."""
        if self.is_serving:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)  # wakes serve_forever, which else looks twice a second
            self.shutdown()
            self._thread.join()
        with self._lock:
            for client in [*self._clients]:
                self._disconnect(client)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a client, and disconnect the oldest one where they are too many."""
        client, address = super().get_request()
        with self._lock:
            self._clients[client] = client
            if len(self._clients) > MOST_CLIENTS:
                self._disconnect(next(iter(self._clients)))
        return client, address

    def shutdown_request(self, request: _Request) -> None:
        """Close a connection at the end of its thread."""
        with self._lock:
            self._clients.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: _Request, client_address: object) -> None:
        """Print an error's traceback; a connection that is gone or slow is the client's affair."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def _disconnect(self, client: _Request) -> None:
        with contextlib.suppress(OSError):
            self._clients.pop(client).shutdown(socket.SHUT_RDWR)  # its thread reads the end


class _Connection(BaseHTTPRequestHandler):
    """Reads a request, answers it, and waits for the client to close, all in a limited time."""

    server: HealthServer
    protocol_version = request_version = "HTTP/1.1"
    command = ""
    wbufsize = -1  # an answer is sent whole

    def handle(self) -> None:
        deadline, head = time.monotonic() + self.server.timeout_s, b""
        while (size := head.find(b"\r\n\r\n")) < 0 and len(head) <= MOST_BYTES:
            if not (data := self._before(deadline).recv(MOST_BYTES)):
                return
            head += data
        if 0 <= size <= MOST_BYTES:
            self._answer_request(head)
        else:
            self._answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._before(deadline)
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        ignored = 0
        while ignored < _MOST_IGNORED and (data := self._before(deadline).recv(MOST_BYTES)):
            ignored += len(data)

    def _before(self, deadline: float) -> socket.socket:
        """Return the connection, its operations limited to the time that is left."""
        if (left := deadline - time.monotonic()) <= 0:
            raise TimeoutError
        connection: socket.socket = self.connection
        connection.settimeout(left)
        return connection

    def _answer_request(self, head: bytes) -> None:
        if (request := _REQUEST.match(head.decode("latin-1"))) is None:
            return self._answer(HTTPStatus.BAD_REQUEST)
        self.command, path = request.groups()
        if path not in _PATHS:
            return self._answer(HTTPStatus.NOT_FOUND, f"expected {', '.join(_PATHS)}")
        if self.command not in {"GET", "HEAD"}:
            return self._answer(HTTPStatus.METHOD_NOT_ALLOWED)
        if path == "/metrics":
            return self._answer(HTTPStatus.OK, self.server.metrics.text(), CONTENT_TYPE)
        if path == "/readyz" and (reason := self.server.metrics.unready) is not None:
            return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return self._answer(HTTPStatus.OK, "ready" if path == "/readyz" else "alive")

    def _answer(self, status: HTTPStatus, text: str = "", content: str = "text/plain; charset=utf-8") -> None:
        text = text or status.phrase
        body = (text if text.endswith("\n") else f"{text}\n").encode("utf-8", "replace")
        headers = {"Date": self.date_time_string(), "Content-Type": content, "Content-Length": str(len(body))}
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET, HEAD"
        self.send_response_only(status)
        for name, value in (headers | {"Cache-Control": "no-store", "Connection": "close"}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        seen = error if isinstance(error, socket.gaierror) or not error.errno else os.strerror(error.errno)
        raise OSError(f"{url_of(host, port)}: expected a port to listen on, seen {seen}; use another") from None
