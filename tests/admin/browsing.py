"""What a browser does, in a test, without its scripts."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

from httpx2 import Client, Response

from morphstream.closing import Closing

_WAIT_S = 60.0  # for what comes, however slow the machine is
Fields = Mapping[str, str | Sequence[str]]


class Browser(Closing):
    """A browser at a page; it keeps cookies."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Client(base_url=url, timeout=_WAIT_S)
        self.csrf = ""

    def close(self) -> None:
        """Close its connections."""
        self.client.close()

    def opened(self, link: str) -> Self:
        """Open a link, and the page behind it."""
        assert self.client.get(link).status_code == 200
        page = self.client.get("/")
        assert page.status_code == 200, page.text
        self.csrf = re.findall(r'X-CSRF-Token": "([\w-]+)"', html.unescape(page.text))[0]
        return self

    def get(self, path: str, **headers: str) -> Response:
        """Ask for a page, with more headers."""
        return self.client.get(path, headers=_named(headers))

    def post(self, path: str, fields: Fields | None = None, **headers: str) -> Response:
        """Send a form as htmx does, with more headers or others."""
        own = {"Origin": self.url, "X-CSRF-Token": self.csrf, "HX-Request": "true"}
        return self.client.post(path, data=fields or {"none": ""}, headers=own | _named(headers))

    @contextmanager
    def events(self, path: str = "/events") -> Iterator[Iterator[str]]:
        """Give the events that come, each as its lines."""
        with self.client.stream("GET", path) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[str]:
    event: list[str] = []
    for line in lines:
        if line:
            event.append(line)
        else:
            yield "\n".join(event)
            event = []


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
