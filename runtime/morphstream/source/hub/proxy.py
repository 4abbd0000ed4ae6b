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

from urllib3.util import Url, parse_url

from morphstream.source.hub.request import Request


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy is, and the authorization that it alone is sent; empty for none."""

    address: str
    authorization: str = field(repr=False)

    def __str__(self) -> str:
        return self.address


def proxy_of(request: Request, url: Url) -> Proxy | None:
    """Return the proxy for an address; None where there is none.

    Raises:
        FetchError: What the environment names isn't asked over http, or is no address.
    """
    named = getproxies()
    text = named.get(url.scheme or "") or named.get("all")
    host, port = (url.host or "").strip("[]"), url.port or (443 if url.scheme == "https" else 80)
    if not text or proxy_bypass(f"{host}:{port}"):
        return None
    kind = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    try:
        proxy = parse_url(text if kind else f"http://{text}")
        is_right = proxy.scheme == "http" and proxy.port != 0 and bool((proxy.host or "").encode("idna"))
    except ValueError:
        is_right = False
    if not is_right or proxy.path not in (None, "", "/") or proxy.query or proxy.fragment:
        seen = f"one of {kind[1]}" if kind and kind[1].lower() != "http" else "another form"
        raise request.refusal("a proxy as http://host:port", seen, f"see {url.scheme}_proxy, all_proxy and no_proxy")
    secret = unquote_to_bytes(f"{proxy.auth}:" if ":" not in (proxy.auth or ":") else proxy.auth or "")
    return Proxy(f"{proxy.host}:{proxy.port or 80}", f"Basic {base64.b64encode(secret).decode()}" if secret else "")
