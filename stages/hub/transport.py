"""Send the requests of the Hub's client over the runtime's connections: its proxies, certificates and time-outs."""

from collections.abc import Iterator

import httpx2
from huggingface_hub import get_token
from urllib3 import BaseHTTPResponse
from urllib3.util import parse_url

from morphstream.source.hub.attempt import AttemptError, Clock
from morphstream.source.hub.connections import Connections
from morphstream.source.hub.refusals import TIMEOUT_S, inconsistent, unserved
from morphstream.source.source import SMALL_BYTES_MAX

WRITE_TIMEOUT_S = 120.0  # a large commit takes the Hub up to a minute
_CONNECTIONS = 8  # the client uploads five files at once
_PART_BYTES = 1 << 16
_PAGES_MAX = 1000  # of a thousand files each
_REFUSED = 400


class HubTransport(httpx2.BaseTransport):
    """Sends requests and returns whole answers; AttemptError where the client would retry in silence, without a bound.

    Reads are given up as by the runtime; writes later, once the answer, or the next part of what is sent, waits.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S, write_timeout_s: float = WRITE_TIMEOUT_S) -> None:
        self._timeout_s, self._write_timeout_s = timeout_s, write_timeout_s
        self._connections = Connections(_CONNECTIONS)
        self._redirected = dict[str, str]()  # a host, and the one that redirected to it
        self._path, self._pages = "", 0  # the last, and how often it was asked for since another one was

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the answer to a request; a fault of the file that is uploaded is raised as it is."""
        faults, host = list[OSError](), request.url.host
        try:
            return self._answer(request, faults)
        except AttemptError as error:
            if faults:
                raise faults[0] from error
            if by := self._redirected.get(host):
                error.seen += f" from {host}, to which {by} redirects"
            raise

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def _answer(self, request: httpx2.Request, faults: list[OSError]) -> httpx2.Response:
        is_write, data = request.method not in ("GET", "HEAD"), bytearray()
        timeout_s = self._write_timeout_s if is_write else self._timeout_s
        clock = request.extensions.setdefault("clock", Clock(timeout_s / 2, timeout_s))  # a redirect goes on with it
        headers = {**request.headers, "accept-encoding": "identity"}
        body = _sent(request, clock, faults) if is_write else None
        with clock.waiting():
            response = self._connections.ask(
                parse_url(str(request.url)), headers, clock, method=request.method, body=body
            )
            self._check(request, response)
        for piece in self._connections.stream(response, clock):
            data += piece
            if len(data) > SMALL_BYTES_MAX:
                response.close()
                raise inconsistent(f"{SMALL_BYTES_MAX} bytes at most", "more")
        kept = [(name, value) for name, value in response.headers.items() if not name.lower().endswith("-encoding")]
        return httpx2.Response(response.status, headers=kept, content=bytes(data))

    def _check(self, request: httpx2.Request, response: BaseHTTPResponse) -> None:
        """Refuse an answer that the client doesn't understand, and keep in mind where it redirects to."""
        path, target = request.url.path, request.url.join(response.headers.get("Location", ""))
        self._path, self._pages = path, self._pages + 1 if path == self._path else 1
        if self._pages > _PAGES_MAX:
            response.close()
            raise inconsistent(f"{_PAGES_MAX} pages of a listing at most", "more")
        if target.host != request.url.host:
            self._redirected[target.host] = request.url.host
        if response.status < _REFUSED:
            return
        is_hub = "authorization" in request.headers or not (get_token() or request.url.host in self._redirected)
        api = f"{request.method} {path}" if path.startswith("/api/") or "/info/lfs/" in path else ""
        is_write = request.method not in ("GET", "HEAD")
        if error := unserved(response.status, response.headers, is_hub=is_hub, is_write=is_write, api=api):
            response.close()
            raise error


def _sent(request: httpx2.Request, clock: Clock, faults: list[OSError]) -> Iterator[bytes]:
    """Yield what is sent, part by part, for each of which the other side is waited for anew; faults of its file."""
    parts = iter(request.stream) if isinstance(request.stream, httpx2.SyncByteStream) else iter(())
    while True:
        try:
            data = next(parts, b"")
        except OSError as error:
            faults.append(error)
            raise
        if not data:
            return
        for begin in range(0, len(data), _PART_BYTES):
            part = data[begin : begin + _PART_BYTES]
            yield part
            clock.count(len(part))
