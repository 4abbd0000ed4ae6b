"""A relay in front of a hub that spoils its answers, byte by byte: what any client may meet on the way."""

import random
import re
import socket
import threading
from dataclasses import dataclass
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Self

from tests.loopback.server import Hub

KINDS = ("drip", "stall", "end", "lie", "more", "redirect", "limit")
_ELSEWHERE = ("http://127.0.0.1:9/there", "/again", "ftp://127.0.0.1/x", "http://[::1", "", "//localhost:{port}/other")
_HEADS = (
    "HTTP/1.1 429 Too Many\r\nRetry-After: 9999",
    'HTTP/1.1 429 Too Many\r\nRateLimit: "resolvers";r=0;t=9999',
    "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 2199 23:59:59 GMT",
    "HTTP/1.1 100 Continue",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoilt:
    """What happens to answers.

    Attributes:
        kind: ``drip``: from a byte on they come one by one. ``stall``: no more come. ``end``: the connection ends.
            ``lie``: a byte is another. ``more``: bytes are there twice. ``redirect`` and ``limit``: another answer.
        after: How many answers are right before.
        is_always: Every later answer is spoilt, and not one alone.
        at: Where in the head or the body, from 0 to 1.
        is_body: Whether it is in the body.
        pause_s: Between bytes that drip.
        choice: Which of several such.
    """

    kind: str
    after: int
    is_always: bool
    at: float
    is_body: bool
    pause_s: float
    choice: int

    @classmethod
    def of(cls, seed: int, pause_s: float) -> Self:
        """Return one at random."""
        chance = random.Random(seed)
        return cls(
            kind=chance.choice(KINDS),
            after=chance.choice((0, 0, 1, 2, 3, 5)),
            is_always=chance.random() < 0.7,
            at=chance.choice((0.0, 1.0, chance.random(), chance.random())),
            is_body=chance.random() < 0.5,
            pause_s=pause_s * chance.choice((0.1, 1, 10)),
            choice=chance.randrange(1 << 30),
        )


class Relay(ThreadingTCPServer):
    """Leads to a hub, from `with` to its end; its answers are spoilt on their way back.

    Attributes:
        endpoint: The address that it is asked at.
        path: Part of the paths whose answers may be spoilt.
    """

    daemon_threads, block_on_close = True, False

    def __init__(self, hub: Hub, spoilt: Spoilt, path: str = "/") -> None:
        super().__init__(("127.0.0.1", 0), _Relayed)
        self.spoilt, self.path, self.to = spoilt, path, int(hub.endpoint.rpartition(":")[2])
        self.port = self.server_address[1]
        self.endpoint = f"http://localhost:{self.port}"
        self.closed, self._lock, self._count = threading.Event(), threading.Lock(), 0

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self.shutdown()
        self.server_close()

    def is_next_spoilt(self, asked: bytes) -> bool:
        """Count an answer to a request, and return whether it is to be spoilt."""
        if self.path.encode() not in asked.partition(b"\r\n")[0]:
            return False
        with self._lock:
            self._count += 1
            late = self._count - 1 - self.spoilt.after
        return late >= 0 if self.spoilt.is_always else late == 0

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that have hung up."""


class _Relayed(BaseRequestHandler):
    """One connection, with one request."""

    server: Relay
    request: socket.socket

    def handle(self) -> None:
        """Pass a request on, and its answer back."""
        head, _, body = self._request().partition(b"\r\n\r\n")
        if not head:
            return
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"keep-alive:"))]
        with socket.create_connection(("127.0.0.1", self.server.to)) as hub:
            hub.sendall(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body)
            answer = b"".join(iter(lambda: hub.recv(1 << 16), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        head = head.replace(b":%d/" % self.server.to, b":%d/" % self.server.port)
        self._send(head + b"\r\n\r\n", body, self.server.is_next_spoilt(lines[0]))

    def _request(self) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data and (more := self.request.recv(1 << 16)):
            data += more
        size = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", data.partition(b"\r\n\r\n")[0])
        while size and len(data.partition(b"\r\n\r\n")[2]) < int(size[1]) and (more := self.request.recv(1 << 16)):
            data += more
        return data

    def _send(self, head: bytes, body: bytes, is_spoilt: bool) -> None:
        spoilt, answer = self.server.spoilt, head + body
        if not is_spoilt:
            self.request.sendall(answer)
            return
        if spoilt.kind in ("redirect", "limit"):
            choices = [
                f"HTTP/1.1 307 Elsewhere\r\nLocation: {place.format(port=self.server.port)}" for place in _ELSEWHERE
            ]
            choices = choices if spoilt.kind == "redirect" else list(_HEADS)
            text = f"{choices[spoilt.choice % len(choices)]}\r\nContent-Length: 0\r\n\r\n"
            self.request.sendall(text.encode() * (50 if "100 Continue" in text else 1))
            return
        part, start = (body, len(head)) if spoilt.is_body else (head, 0)
        at = start + min(int(spoilt.at * len(part)), max(len(part) - 1, 0))
        byte = bytes([spoilt.choice % 256])
        spoils = {"lie": byte + answer[at + 1 :], "more": answer[: at + 1][-20:] + answer[at:]}
        self.request.sendall(answer[:at] + spoils.get(spoilt.kind, b""))
        if spoilt.kind == "stall":
            self.server.closed.wait()
        for each in answer[at:] if spoilt.kind == "drip" else b"":
            if self.server.closed.wait(spoilt.pause_s):
                return
            self.request.sendall(bytes([each]))
