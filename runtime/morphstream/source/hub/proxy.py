"""The proxy that the environment names for a host, as curl and Python's own clients read it.

Conventions:

* ``http_proxy`` and ``https_proxy``, else ``all_proxy``, in small letters or capitals; none for hosts in ``no_proxy``.
* It is asked over plain http; its user and password go to it alone, and no message has them.

Source: RFC 9110, CONNECT, and RFC 9112, absolute-form; everything.curl.dev/usingcurl/proxies/env for the names.
"""

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes
from urllib.request import getproxies, proxy_bypass

from morphstream.source.hub.faults import Task

_LABEL = "[A-Za-z0-9_-]{1,63}"
_PROXY = re.compile(
    rf"(?:http://)?(?:(?P<user>[^/?#\s]*)@)?(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?/?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """Where a proxy is, and the headers that it alone is told."""

    host: str
    port: int
    headers: dict[str, str] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def proxy_of(task: Task, origin: tuple[str, str, int]) -> Proxy | None:
    """Return the proxy for a scheme, a host and a port; None where there is none.

    Raises:
        FetchError: What the environment names isn't asked over http, or is no address.
    """
    scheme, host, port = origin
    named = getproxies()
    said = named.get(scheme) or named.get("all")
    if not said or proxy_bypass(f"{host}:{port}"):
        return None
    found = _PROXY.fullmatch(said)
    at = int(found["port"] or 80) if found else 0
    if found is None or not 0 < at < 1 << 16:
        kind = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", said)
        seen = f"one of {kind[1]}" if kind and kind[1].lower() != "http" else "another form"
        raise task.refusal("a proxy as http://host:port", seen, f"see {scheme}_proxy, all_proxy and no_proxy")
    headers = {}
    if found["user"] is not None:
        user, colon, password = found["user"].partition(":")
        secret = unquote_to_bytes(user) + (colon or ":").encode() + unquote_to_bytes(password)
        headers = {"Proxy-Authorization": f"Basic {base64.b64encode(secret).decode()}"}
    return Proxy(host=found["host"].strip("[]"), port=at, headers=headers)
