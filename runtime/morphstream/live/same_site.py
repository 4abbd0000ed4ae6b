"""Whether a browser's request is for this page and comes from it, and the headers that keep other sites out.

A site that a user visits can make the browser send requests here, and by a name of its own that it points at this
machine even read the answers. So a request has to be for a name that is known, the cookie isn't sent from other sites,
and what changes anything comes from the page itself.
"""

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

READING = ("GET", "HEAD")
SAFE_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # without any, a beacon may have no origin (Fetch, 3.2)
    "X-Content-Type-Options": "nosniff",
}


def is_known_host(host: str, names: Collection[str]) -> bool:
    """Return whether a Host header names this page: by one of some names, or an address, which no site can have.

    Args:
        host: The header.
        names: In lower case; ``localhost`` is always one.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name in names or _is_address(name)


def host_of_origin(origin: str | None) -> str:
    """Return the host and port of an Origin header, as a Host header has them; empty for none."""
    scheme, _, host = (origin or "").partition("://")
    return host if scheme in ("http", "https") else ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
