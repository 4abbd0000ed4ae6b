"""The proxy that the environment names for a host, as curl and Python's own clients read it.

Conventions:

* ``http_proxy`` and ``https_proxy``, else ``all_proxy``, in small letters or capitals; none for hosts in ``no_proxy``.
* It is asked over plain http; its user and password go to it alone, and no message has them.

Source: everything.curl.dev/usingcurl/proxies/env for the names; RFC 7617 for the authorization.
"""

import base64
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote_to_bytes
from urllib.request import getproxies, proxy_bypass

from urllib3 import PoolManager, ProxyManager
from urllib3.util import Url, parse_url

from morphstream.source.hub.refusals import AttemptError
from morphstream.source.hub.request import Request


def pools_of(request: Request, url: Url) -> tuple[str, Callable[..., PoolManager]]:
    """Return the proxy for an address, empty for none, and what makes urllib3's pools that go through it.

    Raises:
        FetchError: What the environment names isn't asked over http, or is no address.
    """
    named, host = getproxies(), (url.host or "").strip("[]")
    text = named.get(url.scheme or "") or named.get("all")
    if not text or proxy_bypass(f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"):
        return "", PoolManager
    kind = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    try:
        proxy = parse_url(text if kind else f"http://{text}")
        has_host = not re.search(r"\s", text) and bool((proxy.host or "").encode("idna"))
        is_right = has_host and proxy.scheme == "http" and proxy.port != 0
    except ValueError:
        is_right = False
    if not is_right or proxy.request_uri != "/" or proxy.fragment:
        seen = f"one of {kind[1]}" if kind and kind[1].lower() != "http" else "another form"
        remedy = f"see {url.scheme}_proxy, all_proxy and no_proxy"
        raise AttemptError("a proxy as http://host:port", seen, remedy).refusal(request.what)
    secret = unquote_to_bytes(f"{proxy.auth}:" if proxy.auth and ":" not in proxy.auth else proxy.auth or "")
    headers = {"Proxy-Authorization": f"Basic {base64.b64encode(secret).decode()}"} if secret else {}
    address = f"{proxy.host}:{proxy.port or 80}"
    return address, partial(ProxyManager, f"http://{address}", proxy_headers=headers)
