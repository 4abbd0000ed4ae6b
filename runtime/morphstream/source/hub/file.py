"""A file of the Hub: redirects are followed, and headers compared with what is expected.

Redirects are followed here, not by urllib3: the Hub's headers about a large file are those of the redirect, and each
host may have another proxy.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from urllib3 import BaseHTTPResponse
from urllib3.util import Url, parse_url

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import DigestMismatchError
from morphstream.source.hub.attempt import AttemptError, Clock
from morphstream.source.hub.connections import Connections, origin_of, parsed
from morphstream.source.hub.refusals import Retry, inconsistent, refused
from morphstream.source.source import SMALL_BYTES_MAX

REDIRECTS_MAX = 5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EXPIRED = frozenset({400, 401, 403, 404, 410})  # of an address that the Hub redirected to some time ago


@dataclass(kw_only=True, eq=False)
class HubFile:
    """A file of the Hub, or an answer of its API; several threads may ask for ranges of it at once.

    Attributes:
        what: Its name in a refusal.
        token: Sent to the Hub alone; None for none.
        count: Number of connections.
        commit: Hexadecimal commit that the Hub must answer from; empty while unknown.
        api: Its path, where it is an answer of the Hub's API.
        digest: Expected digest; None while unknown.
        total_bytes: Its size, once an answer has named it.
    """

    what: str
    address: str
    token: str | None = field(repr=False)
    pauses_s: Sequence[float]
    timeout_s: float
    count: int
    commit: str = ""
    api: str = ""
    digest: Digest | None = None

    def __post_init__(self) -> None:
        self.connections = Connections(self.count)
        self.total_bytes: int | None = None
        self._first = parse_url(self.address), self.token
        self._found: tuple[Url, str | None] | None = None  # target of the last redirect, and the token for it
        self._asked = self._first[0]  # the last

    def retry(self) -> Retry:
        """Return a count of attempts for one part of the file."""
        return Retry(
            what=self.what,
            pauses_s=self.pauses_s,
            timeout_s=self.timeout_s,
            token=self.token,
            stop=self.connections.stop,
            where=self.where,
        )

    def read(self) -> bytes:
        """Return a small file whole, and no more than its bound."""
        with closing(self.connections):
            retry = self.retry()
            return retry.call(lambda: self._read(retry.clock()))

    def ask(self, clock: Clock, byte_range: str = "") -> BaseHTTPResponse:
        """Return an answer with a range, as a Range header names it, or with the whole file, still to be read."""
        found = self._found
        with clock.waiting():
            try:
                return self._follow(*(found or self._first), byte_range, clock)
            except AttemptError as error:
                if not found or error.status not in _EXPIRED:
                    raise
            return self._follow(*self._first, byte_range, clock)

    def where(self) -> str:
        """Return which host answered the last request, in words, if another was asked and redirected to it."""
        asked, first = self._asked, self._first[0]
        return "" if origin_of(asked) == origin_of(first) else f" from {asked.host}, to which {first.host} redirects"

    def check_size(self, size: int) -> None:
        """Compare the size that an answer names with what is expected, and with the answers before."""
        if self.digest and self.digest.bytes != size:
            raise DigestMismatchError(self.what, f"{self.digest.bytes} bytes as pinned", f"{size} bytes")
        if self.total_bytes not in (None, size):
            raise inconsistent(f"{self.total_bytes} bytes in all, as announced before", f"{size}")
        self.total_bytes = size

    def _read(self, clock: Clock) -> bytes:
        response, data = self.ask(clock), bytearray()
        pieces, size = self.connections.stream(response, clock), response.length_remaining
        if size is not None:
            self.check_size(size)
        while (size or len(data)) <= SMALL_BYTES_MAX:
            if not (piece := next(pieces, b"")):
                return bytes(data)
            data += piece
        raise inconsistent(f"{SMALL_BYTES_MAX} bytes at most", "more")

    def _follow(self, url: Url, token: str | None, byte_range: str, clock: Clock) -> BaseHTTPResponse:
        for count in range(REDIRECTS_MAX + 1):
            headers = {"Accept-Encoding": "identity", "User-Agent": "morphstream"}
            headers |= {"Authorization": f"Bearer {token}"} if token else {}
            headers |= {"Range": byte_range} if byte_range else {}
            self._asked = url
            response = self.connections.ask(url, headers, clock)
            is_hub = origin_of(url) == origin_of(self._first[0])
            if is_hub:
                self._check_hub(response.headers)
            if response.status in (200, 206):
                self._found = (url, token) if count else self._found
                return response
            response.close()
            if response.status not in _REDIRECTS:
                has_token = bool(self.token)
                raise refused(response.status, response.headers, has_token=has_token, is_hub=is_hub, api=self.api)
            target = parsed(response.headers.get("Location", ""), url.url)._replace(auth=None, fragment=None)
            if target.scheme not in ("http", "https") or not target.host:
                raise inconsistent("a redirect to an address of http", f"one of {target.scheme or 'nothing'}")
            token = token if origin_of(target) == origin_of(url) else None  # and never again, even if led back
            url = target
        raise inconsistent(f"{REDIRECTS_MAX} redirects at most", "more")

    def _check_hub(self, headers: Mapping[str, str]) -> None:
        """Check the headers of an answer of the Hub itself; only those of a large file name its size and digest."""
        if self.commit and (seen := headers.get("X-Repo-Commit", self.commit)) != self.commit:
            raise inconsistent(f"commit {self.commit}", seen)
        if re.fullmatch("[0-9]{1,18}", size := headers.get("X-Linked-Size", "")):
            self.check_size(int(size))
        etag = headers.get("X-Linked-Etag", "").strip('"')
        if self.digest and re.fullmatch("[0-9a-f]{64}", etag) and etag != self.digest.sha256:
            raise DigestMismatchError(self.what, f"sha256 {self.digest.sha256} as pinned", etag)
