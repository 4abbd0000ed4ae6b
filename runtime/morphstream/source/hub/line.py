"""A connection to the Hub, or to where it sends one: redirects followed by hand, and no more read than was said."""

import re
import socket
import ssl
import time
import traceback
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import cast
from urllib.parse import quote, urljoin, urlsplit

from morphstream.source.hub.faults import ProxyError, RefusedError, SlowError, Task, UnreachableError
from morphstream.source.hub.proxy import Proxy, proxy_of

REDIRECTS_MAX = 5
LEAST_BYTES = 1 << 16  # in each `timeout_s`, or the line is slow; so much, too, and attempts begin anew

_CONNECT_TIMEOUT_S = 10.0  # closing can't cut it short
_READ_BYTES = 1 << 18
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OF_PROXIES = frozenset({407, 502, 504})
_KEPT = "%/:=&?~#+!$,;'@()*[]"  # of an address, when it is quoted


class Line:
    """A connection at a time: follows redirects, is used again where that can be, and reads no more than was said."""

    def __init__(self, task: Task) -> None:
        self.at = self.left = 0  # where the answer is, and how many bytes it has behind that
        self._task, self._origin = task, ("", "", 0)
        self._connection: HTTPConnection | None = None
        self._proxy: Proxy | None = None  # that plain http goes through; with a tunnel, none is seen
        self._response: HTTPResponse | None = None
        self._socket: socket.socket | None = None  # the connection forgets its own where it won't be used again
        self._since, self._came = 0.0, 0

    def open(self, url: str, token: str | None, wanted: str = "") -> tuple[str, str | None, int | None]:
        """Ask for a range, or for all; the answer is then at its first byte.

        Returns:
            The address that answered, the token that it was given, and the size that a redirect said.

        Raises:
            FetchError: A redirect leads nowhere, or the answer is of another commit.
            OSError, HTTPException, RefusedError: Asking again may help.
        """
        linked, task = None, self._task
        for _ in range(REDIRECTS_MAX + 1):
            response = self._ask(url, token, wanted)
            is_hub, headers = origin_of(url) == origin_of(task.hub.endpoint), response.headers
            if is_hub and task.commit and headers.get("X-Repo-Commit", task.commit) != task.commit:
                raise task.lie(f"commit {task.commit}", headers["X-Repo-Commit"])
            if response.status in _REDIRECTS:
                self.close()
                size = headers.get("X-Linked-Size", "")
                linked = int(size) if is_hub and re.fullmatch("[0-9]{1,18}", size) else linked
                target = _target_of(url, headers.get("Location", ""))
                if origin_of(target)[0] not in ("http", "https"):
                    seen = f"one of {target.partition(':')[0] or 'nothing'}"
                    raise task.lie("a redirect to an address of http", seen)
                token = token if origin_of(target) == origin_of(url) else None  # gone is gone, should it lead back
                url = target
            elif response.status in (200, 206):
                self.at, self.left = 0, response.length or 0
                return url, token, linked
            else:
                self.close()
                raise RefusedError(response.status, headers, is_hub=is_hub)
        raise task.lie(f"{REDIRECTS_MAX} redirects at most", "more")

    @property
    def answer(self) -> HTTPResponse:
        """The answer that is being read."""
        if self._response is None:
            raise ConnectionError("the connection is closed")
        return self._response

    def read(self, size: int) -> bytes:
        """Return up to so many of the bytes that are left, one at least.

        Raises:
            OSError, HTTPException: They don't come.
        """
        data = self._read(min(size, self.left, _READ_BYTES))
        if not data:
            raise ConnectionError(f"the connection ended, with {self.left} bytes to come")
        self.at, self.left = self.at + len(data), self.left - len(data)
        if not self.left and self._response:
            self._response.close()  # so that the connection can be used again
            self._response = None
        return data

    def read_all(self, most: int) -> bytes:
        """Return the whole answer.

        Raises:
            FetchError: It is larger than that.
            OSError, HTTPException: It doesn't come.
        """
        said, parts, size = self.answer.length, list[bytes](), 0
        while (said or 0) <= most and size <= most and (data := self._read(_READ_BYTES)):
            parts.append(data)
            size += len(data)
        if (said or 0) > most or size > most:
            raise self._task.lie(f"{most} bytes at most", "more")
        if said is not None and size != said:
            raise ConnectionError(f"the connection ended after {size} of {said} bytes")
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Read so many bytes for nothing."""
        while size:
            size -= len(self.read(size))

    def resume(self) -> None:
        """Expect bytes from now on: until now nobody took any."""
        self._since, self._came = time.monotonic(), 0

    def abort(self) -> None:
        """End what another thread is waiting for."""
        if self._socket:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # TLS has its own, which isn't safe for this

    def close(self) -> None:
        """Close the connection; asking opens another."""
        response, connection = self._response, self._connection
        self.left, self._response, self._connection = 0, None, None
        if response:
            response.close()
        if connection:
            connection.close()

    def _ask(self, url: str, token: str | None, wanted: str) -> HTTPResponse:
        parts, origin = urlsplit(url), origin_of(url)
        headers = {"Accept-Encoding": "identity", "User-Agent": "morphstream"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Range": wanted} if wanted else {}
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if self._response or origin != self._origin:
            self.close()
        for is_used in (True, False):  # the other side may have closed one that was used, and that is no fault
            try:
                if self._connection is None or self._connection.sock is None:
                    is_used = False
                    self._connect(origin)
                connection, proxy = cast("HTTPConnection", self._connection), self._proxy
                whole = f"http://{parts.netloc.rpartition('@')[2]}{target}" if proxy else target
                connection.request("GET", whole, None, headers | (proxy.headers if proxy else {}))
                self._response = connection.getresponse()
                break
            except (OSError, HTTPException) as error:
                self.close()
                if not is_used or isinstance(error, TimeoutError) or self._task.stop.is_set():
                    raise
        if self._proxy and (status := self.answer.status) in _OF_PROXIES:
            self.close()
            raise ProxyError(self._proxy, status)
        self.resume()
        return self.answer

    def _connect(self, origin: tuple[str, str, int]) -> None:
        scheme, host, port = self._origin = origin
        kind = HTTPSConnection if scheme == "https" else HTTPConnection
        timeout_s = self._task.hub.timeout_s
        proxy = proxy_of(self._task, origin)
        at = (proxy.host, proxy.port) if proxy else (host, port)
        self._connection = connection = kind(*at, timeout=min(timeout_s, _CONNECT_TIMEOUT_S))
        if proxy and scheme == "https":
            connection.set_tunnel(host, port, proxy.headers)
        self._proxy = proxy if scheme == "http" else None
        try:
            connection.connect()
        except (OSError, HTTPException) as error:
            traceback.clear_frames(error.__traceback__)  # where Python 3.11 leaves the answer of a tunnel open
            is_its = proxy and not isinstance(error, ssl.SSLError)
            raise (ProxyError(proxy, error) if is_its else UnreachableError(host, error)) from error
        connection.sock.settimeout(timeout_s)
        self._socket = connection.sock
        if self._task.stop.is_set():  # whoever set it may have looked before there was a socket
            raise ConnectionError("closed")

    def _read(self, size: int) -> bytes:
        data = self.answer.read1(size)
        self._came += len(data)
        if time.monotonic() - self._since > self._task.hub.timeout_s:
            if self._came < min(LEAST_BYTES, self.left or LEAST_BYTES):
                raise SlowError(f"{self._came} bytes")
            self.resume()
        return data


def origin_of(url: str) -> tuple[str, str, int]:
    """Return the scheme, the host and the port of an address; empty where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", "", 0
    return (parts.scheme, parts.hostname, port) if parts.hostname else ("", "", 0)


def _target_of(url: str, location: str) -> str:
    """Return where a redirect leads; empty where that is no address."""
    try:
        return quote(urljoin(url, location), safe=_KEPT) if location else ""
    except ValueError:
        return ""
