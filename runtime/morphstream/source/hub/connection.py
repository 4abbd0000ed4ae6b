"""A file of the Hub over urllib3's connections, which another thread can abort at any time.

Redirects are followed here, not by urllib3: the Hub's headers about a large file are those of the redirect, and each
host may have another proxy.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ProxyError
from urllib3.util import Url, parse_url

from morphstream.source.hub.proxy import pools_of
from morphstream.source.hub.refusals import AttemptError, faulty, refused, refused_by_proxy, too_slow
from morphstream.source.hub.request import Request

REDIRECTS_MAX = 5
LEAST_BYTES = 1 << 16  # in each `timeout_s`, or the connection is too slow; after as many, attempts are counted anew

_CONNECT_TIMEOUT_S = 10.0  # aborting can't cut it short
_READ_BYTES = 1 << 18
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EXPIRED = frozenset({400, 401, 403, 404, 410})  # of an address that the Hub redirected to some time ago
_OF_PROXIES = frozenset({407, 502, 504})


class HubFile:
    """A file of the Hub, or an answer of its API; several threads may ask for ranges of it at once.

    Attributes:
        linked_bytes: Its size, once a redirect of the Hub has named it.
    """

    def __init__(self, request: Request, address: str, connections: int = 1) -> None:
        self.linked_bytes: int | None = None
        self._request, self._most, self._lock = request, connections, threading.Lock()
        self._first = parse_url(address), request.token
        self._found: tuple[Url, str | None] | None = None  # target of the last redirect, and the token for it
        self._managers = dict[tuple[str, str], PoolManager]()
        self._responses, self._sockets = list[BaseHTTPResponse](), list[socket.socket]()

    def ask(self, byte_range: str = "") -> BaseHTTPResponse:
        """Return an answer whose bytes are still to be read.

        Args:
            byte_range: As in a Range header; empty for the whole file.

        Raises:
            FetchError: A redirect leads nowhere, or an answer contradicts the request.
            DigestMismatchError: The Hub has a file with another digest.
            AttemptError: Asking again may help.
        """
        found = self._found
        try:
            return self._follow(*(found or self._first), byte_range)
        except AttemptError as error:
            if not found or error.status not in _EXPIRED:
                raise
        return self._follow(*self._first, byte_range)

    def stream(self, response: BaseHTTPResponse) -> Iterator[bytes]:
        """Yield the bytes of an answer as they come.

        Raises:
            AttemptError: They don't come, or too slowly.
        """
        timeout_s, waited_s, came = self._request.timeout_s, 0.0, 0
        while True:
            start = time.monotonic()
            try:
                data = response.read1(_READ_BYTES)
            except HTTPError as error:
                raise faulty(error, self._request.token, timeout_s) from error
            if not data:
                return
            waited_s, came = waited_s + time.monotonic() - start, came + len(data)
            yield data
            if waited_s > timeout_s:
                if came < min(LEAST_BYTES, response.length_remaining or LEAST_BYTES):
                    raise too_slow(f"only {came} bytes", timeout_s)
                waited_s, came = 0.0, 0

    def abort(self) -> None:
        """End what other threads wait for."""
        with self._lock:
            sockets = tuple(self._sockets)
        for each in sockets:
            with suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)  # SSLSocket's own isn't safe while another thread reads

    def close(self) -> None:
        """Close all connections, which no thread may use any more."""
        for response in self._responses:
            response.close()
        for manager in self._managers.values():
            manager.clear()

    def _follow(self, url: Url, token: str | None, byte_range: str) -> BaseHTTPResponse:
        request = self._request
        for count in range(REDIRECTS_MAX + 1):
            response = self._get(url, token, byte_range)
            is_hub = _origin(url) == _origin(self._first[0])
            if is_hub:
                self.linked_bytes = request.check_hub(response.headers) or self.linked_bytes
            if response.status in (200, 206):
                self._found = (url, token) if count else self._found
                return response
            response.close()
            if response.status not in _REDIRECTS:
                raise refused(response.status, response.headers, request.token, is_hub=is_hub)
            target = _target(url, response.headers.get("Location", ""))
            if target.scheme not in ("http", "https") or not target.host:
                seen = f"one of {target.scheme or 'nothing'}"
                raise request.inconsistent_answer("a redirect to an address of http", seen)
            token = token if _origin(target) == _origin(url) else None  # and never again, even if a redirect leads back
            url = target
        raise request.inconsistent_answer(f"{REDIRECTS_MAX} redirects at most", "more")

    def _get(self, url: Url, token: str | None, byte_range: str) -> BaseHTTPResponse:
        request, headers = self._request, {"Accept-Encoding": "identity", "User-Agent": "morphstream"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Range": byte_range} if byte_range else {}
        manager = self._manager(url)
        proxy = manager.proxy.netloc or "" if manager.proxy else ""
        options = {"redirect": False, "retries": False, "preload_content": False, "decode_content": False}
        try:
            response = manager.urlopen("GET", url.url, headers=headers, **options)
        except ProxyError as error:
            raise refused_by_proxy(proxy, error, request.token) from error
        except HTTPError as error:
            raise faulty(error, request.token, request.timeout_s, url.host or "") from error
        with self._lock:
            self._responses = [*(each for each in self._responses if not each.closed), response]
        if proxy and url.scheme == "http" and response.status in _OF_PROXIES:
            response.close()
            raise refused_by_proxy(proxy, response.status, request.token)
        return response

    def _manager(self, url: Url) -> PoolManager:
        """Return the pools for a scheme and its proxy."""
        name, kind = pools_of(self._request, url)
        scheme, timeout_s = url.scheme or "", self._request.timeout_s
        with self._lock:
            if (scheme, name) not in self._managers:
                self._managers[scheme, name] = manager = kind(
                    maxsize=self._most,
                    timeout=Timeout(connect=min(timeout_s, _CONNECT_TIMEOUT_S), read=timeout_s),
                    ssl_context=ssl.create_default_context() if scheme == "https" else None,
                )
                manager.pool_classes_by_scheme = _pool_classes(self._opened)
            return self._managers[scheme, name]

    def _opened(self, connection: HTTPConnection) -> None:
        """Keep the socket of a connection, which forgets it where it won't be used again."""
        with self._lock:
            self._sockets.append(connection.sock)
        if self._request.stop.is_set():  # it may have been aborted before there was a socket
            raise ConnectionError("closed")


def _pool_classes(opened: Callable[[HTTPConnection], None]) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, which report a connection as soon as it is open."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            opened(self)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            opened(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _origin(url: Url) -> tuple[str | None, str | None, int]:
    """Return the scheme, the host and the port of an address."""
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _target(url: Url, location: str) -> Url:
    """Return where a redirect leads, without a user or a fragment; an empty address where that is none."""
    try:
        return parse_url(urljoin(url.url, location))._replace(auth=None, fragment=None) if location else Url()
    except ValueError:
        return Url()
