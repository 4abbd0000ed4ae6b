"""Answers ``/livez``, ``/readyz`` and ``/metrics`` over HTTP, from threads of its own.

A request is answered and its connection closed. Clients wait for nobody: each has a thread, a request has `MOST_BYTES`
and each connection a time, and when there are too many the oldest makes room.
"""

import contextlib
import io
import socket
import threading
import time
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

from morphstream.health.metrics import CONTENT_TYPE, Metrics
from morphstream.health.probe import url_of

MOST_BYTES = 8192  # of a request; Prometheus and kubelet send some 300
MOST_CLIENTS = 64
_METHODS = ("GET", "HEAD")
_MOST_IGNORED = 65536  # of a body that nobody asked for; closing before it is read would lose the answer
_POLL_S = 0.1  # after which late clients are disconnected


class HealthServer(ThreadingTCPServer):  # not an HTTPServer, which asks DNS for its own name
    """A server of one process' health, from when it is made until it is closed; a context manager.

    Attributes:
        url: Where it answers, such as ``http://127.0.0.1:9300``.
        port: The port that it listens on.
    """

    allow_reuse_address, request_queue_size = True, MOST_CLIENTS

    def __init__(self, metrics: Metrics, *, host: str = "127.0.0.1", port: int = 9300, timeout_s: float = 5.0) -> None:
        """Listen and serve.

        Args:
            metrics: What it serves.
            host: Name or address to listen on.
            port: 0 for any that is free.
            timeout_s: After which a connection is closed, whatever it waits for.

        Raises:
            OSError: The port is taken, or the host isn't this machine's.
        """
        self.metrics, self._timeout_s = metrics, timeout_s
        self._clients: list[tuple[float, socket.socket, threading.Thread]] = []  # each with its deadline, oldest first
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_S,), daemon=True)
        try:
            self.address_family = socket.getaddrinfo(host, port, flags=socket.AI_PASSIVE)[0][0]
            super().__init__((host, port), _Connection)
        except OSError as error:
            seen = f"expected a port to listen on, seen {error.strerror}"
            raise OSError(f"{url_of(host, port)}: {seen}; use another") from None
        self.port: int = self.server_address[1]
        self.url = url_of(host, self.port)
        self._thread.start()

    def server_close(self) -> None:
        """Close every connection and free the port; returns when every thread has ended."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.service_actions(most=0)
        for _, _, thread in self._clients:
            thread.join()
        super().server_close()

    close = server_close

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]  # TCP
        """Answer a client, whose time begins, in a thread that a process which ends doesn't wait for."""
        answer = partial(self.process_request_thread, request, client_address)
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        self._clients.append((time.monotonic() + self._timeout_s, request, thread))

    def service_actions(self, most: int = MOST_CLIENTS) -> None:
        """Disconnect clients whose time is over, and the oldest where they are too many."""
        self._clients = [client for client in self._clients if client[2].is_alive()]  # without those that have ended
        late = sum(deadline < time.monotonic() for deadline, _, _ in self._clients)
        for _, client, _ in self._clients[: max(late, len(self._clients) - most)]:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)  # its thread reads the end


class _Connection(BaseHTTPRequestHandler):
    """Answers a request, and waits for the client to close."""

    server: HealthServer
    server_version, sys_version = "morphstream", ""
    protocol_version = default_request_version = request_version = "HTTP/1.1"
    command = requestline = ""

    def handle(self) -> None:
        with self.rfile as sent, contextlib.suppress(OSError):  # a connection that is gone is the client's affair
            head = b""
            while len(head) <= MOST_BYTES and (line := sent.readline(MOST_BYTES + 1 - len(head))).strip():
                head += line
            self.rfile = io.BytesIO(head)
            if len(head) <= MOST_BYTES:
                self.handle_one_request()
            else:
                self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            self.connection.shutdown(socket.SHUT_WR)
            sent.read(_MOST_IGNORED)

    def do_GET(self) -> None:
        metrics, unready, path = self.server.metrics, self.server.metrics.unready, self.path.partition("?")[0]
        status, text, content_type = HTTPStatus.OK, "ready\n", "text/plain; charset=utf-8"
        if path == "/metrics":
            text, content_type = metrics.text(), CONTENT_TYPE
        elif path == "/livez":
            text = "alive\n"
        elif path != "/readyz":
            status, text = HTTPStatus.NOT_FOUND, "expected /livez, /readyz or /metrics\n"
        elif unready is not None:
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, f"{unready}\n"
        if self.command not in _METHODS and status != HTTPStatus.NOT_FOUND:
            status, text = HTTPStatus.METHOD_NOT_ALLOWED, f"expected {' or '.join(_METHODS)}\n"
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Allow", ", ".join(_METHODS))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: probes ask every few seconds."""
