"""What the tests of the Hub share: a published repository, what is asked of it, and servers with scripted answers."""

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer
from typing import Any

import pytest

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import FetchError
from morphstream.source.hub import HubSource
from stages.hub.repository import Repository as Published
from tests.loopback.repository import Large, Repository
from tests.loopback.server import READ_TOKEN, WRITE_TOKEN, Hub

NAME, ARCHIVE = "org/name", "big.tar.zst"
DATA = random.Random(6).randbytes(1_000_003)
QUICK: dict[str, Any] = {"pauses_s": (0.0,) * 4, "range_bytes": 100_000}
LFS = "^/lfs/"


def by_runtime(endpoint: str) -> str:
    """Return the commit that the runtime is told."""
    return HubSource(NAME, endpoint=endpoint, **QUICK)._resolve()


def by_pipeline(endpoint: str) -> str:
    """Return the commit that the pipeline is told."""
    return Published(NAME, endpoint=endpoint, pauses_s=()).commit_of("main")


Ask = Callable[[str], str]
both = pytest.mark.parametrize("ask", [by_runtime, by_pipeline])


def put(repository: Repository, root: Path) -> str:
    """Commit a published layout, archives as large files; return the commit."""
    added: dict[str, bytes | Large] = {"manifests/archives.json": (root / "manifests/archives.json").read_bytes()}
    for path in (root / "archives").iterdir():
        digest = digest_of_file(path)
        stored = repository.object_path(digest.sha256)
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(path.read_bytes())
        added[f"archives/{path.name}"] = Large(digest.sha256, digest.bytes)
    return repository.commit(None, "Publish", added)


def source_at(hub: Hub, **changes: Any) -> HubSource:
    return HubSource(NAME, **{"endpoint": hub.endpoint, **QUICK, **changes})


def fetched(source: HubSource, name: str = ARCHIVE, size: int = -1) -> bytes:
    with source.open(f"archives/{name}") as stream:
        return stream.read() if size < 0 else b"".join(iter(lambda: stream.read(size), b""))


def begins(hub: Hub) -> list[int]:
    return [asked.begin for asked in hub.requests if asked.path.startswith("/lfs/")]


def refusal(source: HubSource) -> str:
    """Return the one line that refuses the archive, or already the commit."""
    with pytest.raises(FetchError) as refused:
        fetched(source)
    line = str(refused.value)
    assert re.fullmatch(rf"hub {NAME}@main( archives/{ARCHIVE})?: expected .+, seen .+; .+", line)
    assert not any(token in line for token in (WRITE_TOKEN, READ_TOKEN, "signature"))
    return line


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.002)


Answer = tuple[int, dict[str, str], bytes]


SHA = "0123456789" * 4
INFO = b'{"id": "org/name", "sha": "%s", "private": true, "siblings": []}' % SHA.encode()


class Answering(ThreadingHTTPServer):
    """A hub whose answers a function makes, from a path and the range of it that is wanted, if any.

    Attributes:
        answer: The function.
        asked: The path and the range of each request, and its authorization.
        now: How many requests are being answered; `most` is how many there were.
    """

    daemon_threads, block_on_close = True, False

    def __init__(self, answer: Callable[[str, tuple[int, int] | None], Answer], host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Answers)
        self.answer, self.asked = answer, list[tuple[str, str, str]]()
        self.now = self.most = 0
        self.counting = threading.Lock()

    @property
    def endpoint(self) -> str:
        """The address of the hub."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that have hung up."""


class Answers(BaseHTTPRequestHandler):
    """One connection to it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Answering

    def do_GET(self) -> None:
        """Answer."""
        byte_range = self.headers.get("Range", "")
        found = re.fullmatch("bytes=([0-9]+)-([0-9]*)", byte_range)
        with self.server.counting:
            self.server.asked.append((self.path, byte_range, self.headers.get("Authorization", "")))
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        wanted = (int(found[1]), int(found[2] or 1 << 60) + 1) if found else None
        try:
            status, headers, body = self.server.answer(self.path, wanted)
            self.send_response_only(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        finally:
            with self.server.counting:
                self.server.now -= 1

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def answering(answer: Callable[[str, tuple[int, int] | None], Answer]) -> Iterator[Answering]:
    """Serve until the block ends."""
    with Answering(answer) as server, serving(server):
        yield server


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """Have a server serve in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def ranged(data: bytes, wanted: tuple[int, int] | None, **headers: str) -> Answer:
    """Answer a range as it should be, but for some headers."""
    if wanted is None:
        return 200, headers, data
    begin, end = wanted[0], min(wanted[1], len(data))
    content_range = {"Content-Range": f"bytes {begin}-{end - 1}/{len(data)}"}
    return 206, content_range | {name.replace("_", "-"): value for name, value in headers.items()}, data[begin:end]


def at(server: Answering, **changes: Any) -> HubSource:
    return HubSource(NAME, SHA, endpoint=server.endpoint, **{**QUICK, **changes})
