"""Connections over urllib3, through the proxy of the environment, which another thread can abort at any time.

Conventions, as of curl and Python's own clients:

* ``http_proxy`` and ``https_proxy``, else ``all_proxy``, in small letters or capitals; none for hosts in ``no_proxy``.
* A proxy is asked over plain http; its user and password go to it alone, and no message has them.

Source: everything.curl.dev/usingcurl/proxies/env for the names; RFC 7617 for the authorization.
"""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from urllib.parse import unquote_to_bytes, urljoin
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection, port_by_scheme
from urllib3.exceptions import HTTPError, ProxyError
from urllib3.util import Url, make_headers, parse_url

from morphstream.source.hub.refusals import AttemptError, faulty, refused_by_proxy, too_slow

LEAST_BYTES = 1 << 16  # in each `timeout_s`, or the connection is too slow; after as many, attempts are counted anew

_CONNECT_TIMEOUT_S = 10.0  # aborting can't cut it short
READ_BYTES = 1 << 18
_OF_PROXIES = frozenset({407, 502, 504})


class Connections:
    """Connections for one file, which several threads may use at once.

    Attributes:
        count: How many are kept open to a host.
        stop: Set once they are aborted.
    """

    def __init__(self, count: int, timeout_s: float) -> None:
        self.count, self.stop = count, threading.Event()
        self._timeout_s, self._lock = timeout_s, threading.Lock()
        self._managers = dict[tuple[str, str], PoolManager]()
        self._responses, self._sockets = list[BaseHTTPResponse](), list[socket.socket]()

    def get(self, url: Url, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """Return an answer of any status but a proxy's, whose bytes are still to be read."""
        manager = self._manager(url)
        proxy = manager.proxy.netloc or "" if manager.proxy else ""
        options = {"redirect": False, "retries": False, "preload_content": False, "decode_content": False}
        try:
            response = manager.urlopen("GET", url.url, headers=headers, **options)
        except ProxyError as error:
            raise refused_by_proxy(proxy, error) from error
        except HTTPError as error:
            raise faulty(error, self._timeout_s, url.host or "") from error
        with self._lock:
            self._responses = [*(each for each in self._responses if not each.closed), response]
        if proxy and url.scheme == "http" and response.status in _OF_PROXIES:
            response.close()
            raise refused_by_proxy(proxy, response.status)
        return response

    def stream(self, response: BaseHTTPResponse) -> Iterator[bytes]:
        """Yield the bytes of an answer as they come."""
        waited_s, came = 0.0, 0
        while True:
            start = time.monotonic()
            try:
                data = response.read1(READ_BYTES, decode_content=False)
            except HTTPError as error:
                raise faulty(error, self._timeout_s) from error
            if not data:
                return
            waited_s, came = waited_s + time.monotonic() - start, came + len(data)
            yield data
            if waited_s > self._timeout_s:
                if came < min(LEAST_BYTES, response.length_remaining or LEAST_BYTES):
                    raise too_slow(f"only {came} bytes", self._timeout_s)
                waited_s, came = 0.0, 0

    def abort(self) -> None:
        """End what other threads wait for."""
        self.stop.set()
        for each in tuple(self._sockets):
            with suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)  # SSLSocket's own isn't safe while another thread reads

    def close(self) -> None:
        """Close all connections, which no thread may use any more."""
        for response in self._responses:
            response.close()
        for manager in self._managers.values():
            manager.clear()

    def _manager(self, url: Url) -> PoolManager:
        """Return the pools for a scheme and the proxy for a host."""
        proxy, scheme = _proxy_of(url), url.scheme or ""
        kind: Callable[..., PoolManager] = PoolManager
        if proxy:
            secret = unquote_to_bytes(f"{proxy.auth}:" if proxy.auth and ":" not in proxy.auth else proxy.auth or "")
            headers = make_headers(proxy_basic_auth=secret.decode("latin-1"))
            kind = partial(ProxyManager, f"http://{proxy.netloc}", proxy_headers=headers)
        key = scheme, proxy.url if proxy else ""
        with self._lock:
            if key not in self._managers:
                self._managers[key] = manager = kind(
                    maxsize=self.count,
                    timeout=Timeout(connect=min(self._timeout_s, _CONNECT_TIMEOUT_S), read=self._timeout_s),
                    ssl_context=ssl.create_default_context() if scheme == "https" else None,
                )
                manager.pool_classes_by_scheme = _pool_classes(self._opened)
            return self._managers[key]

    def _opened(self, connection: HTTPConnection) -> None:
        """Keep the socket of a connection, which forgets it where it won't be used again."""
        self._sockets.append(connection.sock)
        if self.stop.is_set():  # it may have been aborted before there was a socket
            raise ConnectionError("closed")


def parsed(text: str, base: str = "") -> Url:
    """Return the address that a text names, which may be relative to another; an empty one where it names none."""
    try:
        url = parse_url(urljoin(base, text) if text else "")
        (url.host or "").encode("idna")
    except ValueError:
        return Url()
    return url


def origin_of(url: Url) -> tuple[str | None, str | None, int | None]:
    """Return the scheme, the host and the port of an address."""
    return url.scheme, url.host, url.port or port_by_scheme.get(url.scheme or "")


def _proxy_of(url: Url) -> Url | None:
    """Return the proxy that the environment names for an address, if any."""
    named, host = getproxies(), (url.host or "").strip("[]")
    text = named.get(url.scheme or "") or named.get("all")
    if not text or proxy_bypass(f"{host}:{origin_of(url)[2]}"):
        return None
    kind = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    proxy = parsed(text if kind else f"http://{text}")
    is_right = proxy.scheme == "http" and proxy.host and proxy.port != 0 and not re.search(r"\s", text)
    if not is_right or proxy.request_uri != "/" or proxy.fragment:
        seen = f"one of {kind[1]}" if kind and kind[1].lower() != "http" else "another form"
        remedy = f"see {url.scheme}_proxy, all_proxy and no_proxy"
        raise AttemptError("a proxy as http://host:port", seen, remedy, wait_s=None)
    return proxy._replace(port=proxy.port or 80)


def _pool_classes(opened: Callable[[HTTPConnection], None]) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, which report a connection as soon as it is open."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            opened(self)

    class Secure(Plain, HTTPSConnection):
        pass

    return {
        "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain}),
        "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Secure}),
    }
