"""Connections over urllib3, through the proxy of the environment, which another thread can abort at any time.

Conventions, as of curl and Python's own clients:

* ``http_proxy`` and ``https_proxy``, else ``all_proxy``, in small letters or capitals; none for hosts in ``no_proxy``.
* A proxy is asked over plain http; its user and password go to it alone, and no message has them.
* An attempt waits for the other side as long as its clock allows, from the look-up of a name to the last byte.

Source: everything.curl.dev/usingcurl/proxies/env for the names; RFC 7617 for the authorization.
"""

import logging
import re
import socket
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from ipaddress import ip_address, ip_network
from urllib.parse import unquote_to_bytes, urljoin
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection, port_by_scheme
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProxyError, SystemTimeWarning
from urllib3.util import Url, make_headers, parse_url

from morphstream.source.hub.attempt import AttemptError, Clock, TimedSocket
from morphstream.source.hub.refusals import faulty, refused_by_proxy
from morphstream.source.hub.trust import trusting_context
from morphstream.source.transfer import Transfer

READ_BYTES = 1 << 18
_LEAST_S = 0.001  # which urllib3 takes as a time-out
_OF_PROXIES = frozenset({407, 502, 504})

# What urllib3 says of them beside, and with a traceback, a refusal says in its line.
logging.getLogger("urllib3.connection").addFilter(lambda record: "Failed to parse headers" not in record.msg)
warnings.filterwarnings("ignore", category=SystemTimeWarning)


class Connections:
    """Connections for one file, which several threads may use at once.

    Attributes:
        count: How many are kept open to a host.
        stop: Set once they are aborted.
    """

    def __init__(self, count: int) -> None:
        self.count, self.stop = count, threading.Event()
        self._lock, self._opening = threading.Lock(), Transfer()
        self._managers = dict[tuple[str, str], PoolManager]()
        self._responses, self._sockets = list[BaseHTTPResponse](), list[socket.socket]()

    def ask(
        self,
        url: Url,
        headers: Mapping[str, str],
        clock: Clock,
        *,
        method: str = "GET",
        body: Iterable[bytes] | None = None,
    ) -> BaseHTTPResponse:
        """Return an answer of any status but a proxy's, whose bytes are still to be read; the clock is running."""
        manager = self._manager(url)
        proxy = manager.proxy.netloc or "" if manager.proxy else ""
        options = {"redirect": False, "retries": False, "preload_content": False, "decode_content": False}
        timeout = Timeout(max(clock.left_s(), _LEAST_S))
        try:
            response = manager.urlopen(method, url.url, body=body, headers=headers, timeout=timeout, **options)
        except ProxyError as error:
            raise refused_by_proxy(proxy, error) from error
        except HTTPError as error:
            raise faulty(error, clock.timeout_s, host=url.host or "") from error
        with self._lock:
            self._responses = [*(each for each in self._responses if not each.closed), response]
        if proxy and url.scheme == "http" and response.status in _OF_PROXIES:
            response.close()
            raise refused_by_proxy(proxy, response.status)
        return response

    def stream(self, response: BaseHTTPResponse, clock: Clock) -> Iterator[bytes]:
        """Yield the bytes of an answer as they come."""
        while True:
            with clock.waiting():
                try:
                    data = response.read1(READ_BYTES, decode_content=False)
                except HTTPError as error:
                    raise faulty(error, clock.timeout_s, came=clock.came) from error
            if not data:
                return
            clock.count(len(data))
            yield data

    def abort(self) -> None:
        """End what other threads wait for."""
        self.stop.set()
        self._opening.cancel()
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
                    maxsize=self.count, ssl_context=trusting_context() if scheme == "https" else None
                )
                manager.pool_classes_by_scheme = _pool_classes(self._opened, self._keep)
            return self._managers[key]

    def _opened(self, connection: HTTPConnection, open_socket: Callable[[], socket.socket]) -> TimedSocket:
        """Open a socket, in a thread, as names and addresses that don't answer can't be given up otherwise."""
        limit_s = connection.timeout if isinstance(connection.timeout, float) else None
        try:
            plain = self._opening.call(open_socket, discard=socket.socket.close, timeout_s=limit_s)
        except CancelledError:
            raise ConnectionError("closed") from None
        except TimeoutError:
            raise ConnectTimeoutError(connection, "timed out") from None
        timed = TimedSocket(fileno=plain.detach())
        timed.settimeout(limit_s)  # for a handshake
        self._keep(timed)
        return timed

    def _keep(self, opened: socket.socket) -> None:
        """Keep a socket, which its connection forgets where it won't be used again, so that it can be aborted."""
        with self._lock:
            self._sockets = [*(each for each in self._sockets if each.fileno() >= 0), opened]
        if self.stop.is_set():  # it may have been aborted before there was a socket
            opened.close()
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
    named = getproxies()
    text = named.get(url.scheme or "") or named.get("all")
    if not text or _is_direct(url, named.get("no", "")):
        return None
    kind = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    proxy = parsed(text if kind else f"http://{text}")
    is_right = proxy.scheme == "http" and proxy.host and proxy.port != 0 and not re.search(r"\s", text)
    if not is_right or proxy.request_uri != "/" or proxy.fragment:
        seen = f"one of {kind[1]}" if kind and kind[1].lower() != "http" else "another form"
        remedy = f"see {url.scheme}_proxy, all_proxy and no_proxy"
        raise AttemptError("a proxy as http://host:port", seen, remedy, wait_s=None)
    return proxy._replace(port=proxy.port or 80)


def _is_direct(url: Url, direct: str) -> bool:
    """Return whether a list of hosts, or of networks as requests and curl know them, excludes a host from proxies."""
    host, port = (url.host or "").strip("[]"), origin_of(url)[2]
    if any(proxy_bypass(f"{each}:{port}") for each in {host, url.host or ""}):
        return True
    for name in direct.split(","):
        with suppress(ValueError):  # one of them isn't a number
            if ip_address(host) in ip_network(name.strip().strip("[]"), strict=False):
                return True
    return False


def _pool_classes(
    opened: Callable[[HTTPConnection, Callable[[], socket.socket]], socket.socket],
    keep: Callable[[socket.socket], None],
) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, whose connections are opened by a function, and kept by another."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return opened(self, super()._new_conn)

    class Secure(Plain, HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            keep(self.sock)

    return {
        "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain}),
        "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Secure}),
    }
