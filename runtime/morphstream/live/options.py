"""Where and to whom a live page is served."""

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_ICE = re.compile(r"(?:stun:|(turns?:)(?:([^:@]+):([^@]+)@))([^@]+)")
_LEAST_LETTERS = 16  # of a token
_LEAST_SIDE, _MOST_SIDE = 64, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """Where a live page is served, to whom, and how its streams are.

    Attributes:
        host: Name or address to listen on.
        port: 0 for any that is free.
        token: What a browser has to have, from the link; a random one where none is given.
        names: Further host names that requests may be for, as behind a proxy.
        certificate: PEM file of the certificate chain, for HTTPS; None for HTTP.
        key: PEM file of its key; None where the certificate's file has it.
        ice_servers: Servers by which a browser behind a router is reached: ``stun:HOST[:PORT]``, or
            ``turn:USER:PASSWORD@HOST[:PORT]``.
        visible_mark: Whether frames say visibly that they are synthetic.
        max_pixels: Of a source picture.
        most_sessions: Pages that may be open at once.
        size_wh: Size that the page asks the browser's camera for, pixels.

    Raises:
        ValueError: A value is none of these.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    names: Collection[str] = ()
    certificate: Path | None = None
    key: Path | None = None
    ice_servers: Sequence[str] = ()
    visible_mark: bool = True
    max_pixels: int = 120_000_000
    most_sessions: int = 8
    size_wh: tuple[int, int] = (640, 480)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"page: expected a port of 0..65535, seen {self.port}")
        if len(self.token) < _LEAST_LETTERS or not re.fullmatch(r"[\w.~-]+", self.token, re.ASCII):
            expected = f"page: expected a token of {_LEAST_LETTERS} or more letters, digits and .~_-"
            raise ValueError(f"{expected}, seen {len(self.token)} characters; leave it out for a random one")
        if self.key and not self.certificate:
            raise ValueError("page: expected a certificate for the key, seen none; name both")
        if self.most_sessions < 1:
            raise ValueError(f"page: expected 1 session or more, seen {self.most_sessions}")
        if not all(_LEAST_SIDE <= side <= _MOST_SIDE for side in self.size_wh):
            expected = f"a width and height of {_LEAST_SIDE}..{_MOST_SIDE} pixels"
            raise ValueError(f"page: expected {expected}, seen {self.size_wh[0]} x {self.size_wh[1]}")
        for server in self.ice_servers:
            ice_server_of(server)


def ice_server_of(text: str) -> Mapping[str, str]:
    """Return an ICE server as browsers take it.

    Raises:
        ValueError: The text is of no such form.
    """
    if not (match := _ICE.fullmatch(text)):
        seen = text.partition("@")[2] or text  # without a password
        raise ValueError(f"ICE server: expected stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT, seen {seen!r}")
    scheme, user, password, place = match.groups()
    if not scheme:
        return {"urls": text}
    return {"urls": scheme + place, "username": user, "credential": password}
