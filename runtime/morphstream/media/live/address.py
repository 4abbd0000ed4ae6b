"""Addresses of streams: how they are shown without what is secret, and which are refused."""

import re
from urllib.parse import urlsplit

from morphstream.artifact.errors import VideoError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Return whether a text is an address, and no file or device."""
    return bool(_ADDRESS.match(text))


def check_address(address: str, schemes: tuple[str, ...], *, has_key: bool = False) -> None:
    """Check that an address begins with one of some schemes, and names a host; `has_key` as of `shown`.

    Raises:
        VideoError: It doesn't.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise VideoError(f"{address.split('://')[0]}://...: expected an address, seen {error}; write it anew") from None
    name = shown(address, has_key=has_key)
    if parts.scheme not in schemes:
        expected = f"expected an address that begins with {', '.join(schemes)}"
        raise VideoError(f"{name}: {expected}, seen {parts.scheme}, which isn't supported; send it as one")
    if not host:
        raise VideoError(f"{name}: expected the name of a host, seen none; write {parts.scheme}://HOST/PATH")


def shown(address: str, *, has_key: bool = False) -> str:
    """Return an address without its user, its password and its query.

    Args:
        address: Such as ``rtsp://user:password@host/path``.
        has_key: Whether the last part of its path is secret, too, as where one publishes.
    """
    parts = urlsplit(address)
    path = parts.path.rpartition("/")[0] + "/..." if has_key and parts.path.strip("/") else parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
