"""Connections to the Hub and to where it redirects, by urllib3: another thread can abort them at any time.

urllib3 has the pools, the proxies and the tunnels. Redirects are followed here, as what the Hub says of a large file
stands in the redirect, and each host may have another proxy.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.exceptions import SSLError as CertificateError
from urllib3.util import Url, parse_url

from morphstream.source.hub.proxy import proxy_of
from morphstream.source.hub.refusals import AttemptError, reason_of, refused, refused_by_proxy, too_slow, unanswered
from morphstream.source.hub.request import Request

REDIRECTS_MAX = 5
LEAST_BYTES = 1 << 16  # in each `timeout_s`, or the line is slow; so much, too, and attempts are counted anew

_CONNECT_TIMEOUT_S = 10.0  # aborting can't cut it short
_READ_BYTES = 1 << 18
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OF_PROXIES = frozenset({407, 502, 504})


class Connections:
    """The connections of one request; several threads may ask at once."""

    def __init__(self, request: Request, most: int = 1) -> None:
        self._request, self._most = request, most
        self._lock = threading.Lock()
        self._managers = dict[tuple[str, str], PoolManager]()
        self._responses, self._sockets = list[BaseHTTPResponse](), list[socket.socket]()
        self._pool_classes = _pool_classes(self._opened)

    def ask(self, address: str, token: str | None, byte_range: str = "") -> "Answer":
        """Ask for a range, or for all; the answer is then at its first byte.

        Args:
            address: Of the Hub, or one that it redirected to earlier.
            token: For that address, until a redirect leads to another host.
            byte_range: As in a Range header; empty for all.

        Raises:
            FetchError: A redirect leads nowhere, or an answer contradicts the request.
            DigestMismatchError: The Hub has a file with another digest.
            AttemptError: Asking again may help.
        """
        request, url, linked = self._request, parse_url(address), None
        for _ in range(REDIRECTS_MAX + 1):
            response = self._get(url, token, byte_range)
            is_hub = _origin(url) == _origin(parse_url(request.hub.endpoint))
            if is_hub:
                linked = request.check_answer(response.headers) or linked
            if response.status in (200, 206):
                return Answer(request, response, url.url, token, linked)
            response.close()
            if response.status not in _REDIRECTS:
                raise refused(response.status, response.headers, request.hub.token, is_hub=is_hub)
            target = _target(url, response.headers.get("Location", ""))
            if target.scheme not in ("http", "https") or not target.host:
                seen = f"one of {target.scheme or 'nothing'}"
                raise request.inconsistent_answer("a redirect to an address of http", seen)
            token = token if _origin(target) == _origin(url) else None  # and not again, should it lead back
            url = target
        raise request.inconsistent_answer(f"{REDIRECTS_MAX} redirects at most", "more")

    def abort(self) -> None:
        """End what other threads wait for."""
        with self._lock:
            sockets = tuple(self._sockets)
        for each in sockets:
            with suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)  # TLS has its own, which isn't safe for this

    def close(self) -> None:
        """Close all connections, which no thread may use any more."""
        for response in self._responses:
            response.close()
        for manager in self._managers.values():
            manager.clear()

    def _get(self, url: Url, token: str | None, byte_range: str) -> BaseHTTPResponse:
        request, headers = self._request, {"Accept-Encoding": "identity", "User-Agent": "morphstream"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Range": byte_range} if byte_range else {}
        manager = self._manager(url)
        proxy = manager.proxy.netloc or "" if manager.proxy else ""
        try:
            response = manager.urlopen(
                "GET",
                url.url,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except _ConnectError as error:
            cause = error.__cause__
            if proxy and not isinstance(cause, ssl.SSLError | CertificateError):
                raise refused_by_proxy(proxy, error, request.hub.token) from error
            raise unanswered(f"{url.host}: {reason_of(error)}", request.hub.token) from error
        except HTTPError as error:
            raise _read_fault(request, error) from error
        with self._lock:
            self._responses = [*(each for each in self._responses if not each.closed), response]
        if proxy and url.scheme == "http" and response.status in _OF_PROXIES:
            response.close()
            raise refused_by_proxy(proxy, response.status, request.hub.token)
        return response

    def _manager(self, url: Url) -> PoolManager:
        """Return the pools for a scheme and a proxy."""
        proxy, scheme, timeout_s = proxy_of(self._request, url), url.scheme or "", self._request.hub.timeout_s
        with self._lock:
            if (found := self._managers.get((scheme, str(proxy)))) is not None:
                return found
            headers = {"Proxy-Authorization": proxy.authorization} if proxy and proxy.authorization else {}
            kind = partial(ProxyManager, f"http://{proxy}", proxy_headers=headers) if proxy else PoolManager
            manager = kind(
                maxsize=self._most,
                timeout=Timeout(connect=min(timeout_s, _CONNECT_TIMEOUT_S), read=timeout_s),
                ssl_context=ssl.create_default_context() if scheme == "https" else None,
            )
            manager.pool_classes_by_scheme = self._pool_classes
            self._managers[scheme, str(proxy)] = manager
            return manager

    def _opened(self, opened: socket.socket) -> None:
        """Note the socket of a connection: the connection forgets it where it won't be used again."""
        with self._lock:
            self._sockets.append(opened)
        if self._request.stop.is_set():  # whoever set it may have looked before there was a socket
            raise ConnectionError("closed")


class Answer:
    """The body of an answer, which is read once and in order.

    Attributes:
        address: That gave it, behind all redirects.
        token: That was sent there.
        linked_bytes: Size of the file, where a redirect of the Hub names it.
        status: 200 or 206.
        content_range: Header of that name; empty where there is none.
        position: Where in the file the next byte is.
    """

    def __init__(
        self, request: Request, response: BaseHTTPResponse, address: str, token: str | None, linked_bytes: int | None
    ) -> None:
        self._request, self._response = request, response
        self.address, self.token, self.linked_bytes = address, token, linked_bytes
        self.status, self.content_range = response.status, response.headers.get("Content-Range", "")
        self.position = 0
        self.resume()

    @property
    def left(self) -> int | None:
        """How many bytes are to come; None where that isn't known."""
        return self._response.length_remaining

    def read(self, size: int) -> bytes:
        """Return up to so many of the bytes that are to come, none at their end.

        Raises:
            AttemptError: They don't come, or too slowly.
        """
        try:
            data = self._response.read1(min(size, _READ_BYTES))
        except HTTPError as error:
            raise _read_fault(self._request, error) from error
        self.position += len(data)
        self._came += len(data)
        if time.monotonic() - self._since > self._request.hub.timeout_s:
            if self._came < min(LEAST_BYTES, self.left or LEAST_BYTES):
                raise too_slow(f"only {self._came} bytes", self._request.hub.timeout_s)
            self.resume()
        return data

    def read_all(self, most: int) -> bytes:
        """Return all bytes.

        Raises:
            FetchError: There are more than that.
            AttemptError: They don't come.
        """
        parts, size = list[bytes](), self.left or 0
        while size <= most and (data := self.read(_READ_BYTES)):
            parts.append(data)
            size = max(size, self.position)
        if size > most:
            raise self._request.inconsistent_answer(f"{most} bytes at most", "more")
        return b"".join(parts)

    def skip_to(self, position: int) -> None:
        """Read for nothing up to a byte of the file."""
        while self.position < position:
            self.read(position - self.position)

    def resume(self) -> None:
        """Measure the speed from now on: until now nobody wanted bytes."""
        self._since, self._came = time.monotonic(), 0

    def close(self) -> None:
        """Close the connection, unless all was read."""
        self._response.close()


class _ConnectError(Exception):
    """There is no connection; its cause is why. No fault of urllib3's, so that it comes through unchanged."""


def _pool_classes(opened: Callable[[socket.socket], None]) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, with connections that hand out their socket."""

    def connect(connection: HTTPConnection, do_connect: Callable[[], None]) -> None:
        try:
            do_connect()
        except (OSError, HTTPException, HTTPError) as error:
            raise _ConnectError from error
        opened(connection.sock)

    class Plain(HTTPConnection):
        def connect(self) -> None:
            connect(self, super().connect)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            connect(self, super().connect)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _read_fault(request: Request, error: HTTPError) -> AttemptError:
    if isinstance(error, ReadTimeoutError):
        return too_slow("none", request.hub.timeout_s)
    return unanswered(reason_of(error), request.hub.token)


def _origin(url: Url) -> tuple[str | None, str | None, int]:
    """Return the scheme, the host and the port of an address."""
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _target(url: Url, location: str) -> Url:
    """Return where a redirect leads, without a user or a fragment; an empty address where that is none."""
    try:
        return parse_url(urljoin(url.url, location))._replace(auth=None, fragment=None) if location else Url()
    except ValueError:
        return Url()
