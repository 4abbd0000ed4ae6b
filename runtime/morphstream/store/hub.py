"""A repository of the Hub as a source: archives come in ranges over several connections, in order, in one pass.

Conventions:

* A branch is resolved to a commit once; everything is read at that commit.
* A fault that may pass is met again, after a pause, from the byte where it was cut. An answer that contradicts itself
  or another one is refused at once. Bytes are verified by whoever knows their digest, not here.
* A token goes to the endpoint alone; no message has one, nor an address' query, which may be a signature.

Source: RFC 9110 for ranges, redirects and Retry-After; huggingface.co/docs/hub/api for paths and X- headers.
"""

import json
import os
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast
from urllib.parse import quote, urljoin, urlsplit

from morphstream.artifact.errors import FetchError
from morphstream.artifact.vocabulary import archive_path

ENDPOINT = "https://huggingface.co"
RANGE_BYTES = 8 << 20  # a request each: large enough that asking costs nothing, small enough to keep several in memory
SMALL_BYTES_MAX = 64 << 20  # of a manifest, or of what the Hub says of a revision
PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # before each further attempt
WAIT_MAX_S = 120.0  # of what the Hub asks for
REDIRECTS_MAX = 5

_AHEAD = 2  # ranges beside those that are coming
_CONNECT_TIMEOUT_S = 10.0  # closing can't cut it short
_LEAST_BYTES = 1 << 16  # in each `timeout_s`, or the line is slow; so much, too, and attempts begin anew
_READ_BYTES = 1 << 18
_MESSAGE_MAX = 200
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EXPIRED = frozenset({400, 401, 403, 404, 410})  # of an address that the Hub gave some time ago
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_REVISION = re.compile(r"(?!.*(\.\.|//|[./]$))[A-Za-z0-9_][A-Za-z0-9_./+-]{0,254}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TOKEN = re.compile(r"[!-~]+")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_SECRETS = re.compile(r"hf_\w{4,}|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S+|(?<=://)[^\s/@]+(?=@)|\?\S+")
_KEPT = "%/:=&?~#+!$,;'@()*[]"  # of an address, when it is quoted


class HubSource:
    """A published layout in a repository of the Hub; threads may share it.

    Attributes:
        is_remote: True; a boot asks it only where it has to.
    """

    is_remote = True

    def __init__(
        self,
        repo: str,
        revision: str = "main",
        *,
        endpoint: str | None = None,
        token: str | None = None,
        connections: int = 4,
        range_bytes: int = RANGE_BYTES,
        timeout_s: float = 30.0,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """Name a repository; nothing is asked yet.

        Args:
            repo: Such as ``organisation/name``.
            revision: A branch, a tag or a commit.
            endpoint: Of the Hub; None for HF_ENDPOINT, else huggingface.co.
            token: None for HF_TOKEN, else what `hf auth login` left, else none.
            connections: At once, for an archive.
            range_bytes: Of an archive that a request asks for; up to `connections` + 3 are in memory.
            timeout_s: In which an answer must begin, and 64 KiB of it come.
            pauses_s: Before each further attempt; the Hub's own wish counts when it is longer.

        Raises:
            ValueError: One of them has no such form.
            OSError: The file with the token is there, and can't be read.
        """
        if not _REPO.fullmatch(repo):
            raise ValueError(f"hub: expected a repository as organisation/name, seen {repo!r}")
        if not _REVISION.fullmatch(revision):
            raise ValueError(f"hub {repo}: expected a branch, a tag or a commit, seen {revision!r}")
        if connections < 1 or range_bytes < 1:
            seen = f"{connections} and {range_bytes}"
            raise ValueError(f"hub {repo}: expected 1 connection and 1 byte of a range or more, seen {seen}")
        endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
        token = token or _token_of_this_machine()
        self._repo, self._revision = repo, revision
        self._connections, self._range_bytes = connections, range_bytes
        self._hub = _Hub(endpoint=endpoint, token=token, timeout_s=timeout_s, pauses_s=tuple(pauses_s))
        self._commit = revision if _COMMIT.fullmatch(revision) else ""
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return f"hub {self._repo}@{self._revision}"

    def read_manifest(self, name: str) -> bytes:
        """Return a manifest; raises as `Source` says."""
        path = f"manifests/{name}"
        return self._read(f"{self} {path}", self._url_of(path), self._resolve())

    def open_archive(self, name: str) -> BinaryIO:
        """Open an archive; raises as `Source` says, and so does reading it."""
        path, commit = archive_path(name), self._resolve()
        task = _Task(hub=self._hub, what=f"{self} {path}", commit=commit)
        download = _Download(task, self._url_of(path), self._connections, self._range_bytes)
        try:
            download.begin()
        except BaseException:
            download.close()
            raise
        return cast("BinaryIO", download)

    def _url_of(self, path: str) -> str:
        return f"{self._hub.endpoint}/{self._repo}/resolve/{self._resolve()}/{quote(path)}"

    def _resolve(self) -> str:
        """Return the commit that everything is read at."""
        with self._lock:
            if not self._commit:
                url = f"{self._hub.endpoint}/api/models/{self._repo}/revision/{quote(self._revision, safe='')}"
                try:
                    said = json.loads(self._read(str(self), url, ""))["sha"]
                except (ValueError, KeyError, TypeError):
                    said = None
                if not (isinstance(said, str) and _COMMIT.fullmatch(said)):
                    raise FetchError(f"{self}: expected its commit, seen an answer without one; see HF_ENDPOINT")
                self._commit = said
            return self._commit

    def _read(self, what: str, url: str, commit: str) -> bytes:
        task = _Task(hub=self._hub, what=what, commit=commit)
        patience, line = _Patience(task), _Line(task)
        while True:
            try:
                _, _, linked = line.open(url, self._hub.token)
                if None not in (linked, line.answer.length) and linked != line.answer.length:
                    raise task.lie(f"{linked} bytes, as was said before", f"{line.answer.length}")
                return line.read_all(SMALL_BYTES_MAX)
            except _FAULTS as error:
                patience.wait(error)
            finally:
                line.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hub:
    """Where the Hub is, and how it is asked."""

    endpoint: str
    token: str | None = field(repr=False)
    timeout_s: float
    pauses_s: tuple[float, ...]

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.endpoint)
            is_right = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        except ValueError:
            is_right = False
        if not is_right or parts.username is not None or parts.query or parts.fragment:
            raise ValueError("hub: expected an endpoint as https://host, seen another form; see HF_ENDPOINT")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ValueError("hub: expected a token of visible characters, seen others in it; see HF_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """Something that is read: its words in a refusal, its commit where that is known, and whether it was given up."""

    hub: _Hub
    what: str
    commit: str
    stop: threading.Event = field(default_factory=threading.Event)

    def refusal(self, expected: str, seen: str, remedy: str) -> FetchError:
        """Return a refusal in one line."""
        return FetchError(f"{self.what}: expected {expected}, seen {seen}; {remedy}")

    def lie(self, expected: str, seen: str) -> FetchError:
        """Return the refusal of an answer that can't be true."""
        return self.refusal(expected, _short(seen, self.hub.token), "see HF_ENDPOINT, and what stands before it")


class _RefusedError(Exception):
    """An answer of another status than was hoped for."""

    def __init__(self, status: int, headers: Message, *, is_hub: bool) -> None:
        super().__init__(status)
        self.status, self.headers, self.is_hub = status, headers, is_hub


class _SlowError(OSError):
    """Some came, and too slowly."""


class _UnreachableError(OSError):
    """There is no connection; `reason` is why."""

    def __init__(self, host: str, reason: OSError) -> None:
        super().__init__(f"{host}: {reason.strerror or reason or type(reason).__name__}")
        self.reason = reason


_FAULTS = (OSError, HTTPException, _RefusedError)


class _Patience:
    """The attempts at one thing: each fault takes a pause, and where none is left is a refusal."""

    def __init__(self, task: _Task) -> None:
        self._task = task
        self.renew()

    def renew(self) -> None:
        """Begin anew: something came."""
        self._pauses = iter(self._task.hub.pauses_s)

    def wait(self, error: Exception) -> None:
        """Wait as long as makes sense after a fault.

        Raises:
            FetchError: It makes none, or nobody waits for it any more.
        """
        task, wait = self._task, _wait_of(error)
        pause = None if wait is None or wait > WAIT_MAX_S else next(self._pauses, None)
        if task.stop.is_set() or (pause is not None and task.stop.wait(max(pause, wait or 0.0))):
            raise task.refusal("its bytes", "its end", "it was closed")
        if pause is None:
            raise _refusal(task, error) from None


class _Line:
    """A connection at a time: follows redirects, is used again where that can be, and reads no more than was said."""

    def __init__(self, task: _Task) -> None:
        self.at = self.left = 0  # where the answer is, and how many bytes it has behind that
        self._task, self._origin = task, ("", "", 0)
        self._connection: HTTPConnection | None = None
        self._response: HTTPResponse | None = None
        self._socket: socket.socket | None = None  # the connection forgets its own where it won't be used again
        self._since, self._came = 0.0, 0

    def open(self, url: str, token: str | None, wanted: str = "") -> tuple[str, str | None, int | None]:
        """Ask for a range, or for all; the answer is then at its first byte.

        Returns:
            The address that answered, the token that it was given, and the size that a redirect said.

        Raises:
            FetchError: A redirect leads nowhere, or the answer is of another commit.
            OSError, HTTPException, _RefusedError: Asking again may help.
        """
        linked, task = None, self._task
        for _ in range(REDIRECTS_MAX + 1):
            response = self._ask(url, token, wanted)
            is_hub, headers = _origin_of(url) == _origin_of(task.hub.endpoint), response.headers
            if is_hub and task.commit and headers.get("X-Repo-Commit", task.commit) != task.commit:
                raise task.lie(f"commit {task.commit}", headers["X-Repo-Commit"])
            if response.status in _REDIRECTS:
                self.close()
                size = headers.get("X-Linked-Size", "")
                linked = int(size) if is_hub and re.fullmatch("[0-9]{1,18}", size) else linked
                target = _target_of(url, headers.get("Location", ""))
                if _origin_of(target)[0] not in ("http", "https"):
                    seen = f"one of {target.partition(':')[0] or 'nothing'}"
                    raise task.lie("a redirect to an address of http", seen)
                token = token if _origin_of(target) == _origin_of(url) else None  # gone is gone, should it lead back
                url = target
            elif response.status in (200, 206):
                self.at, self.left = 0, response.length or 0
                return url, token, linked
            else:
                self.close()
                raise _RefusedError(response.status, headers, is_hub=is_hub)
        raise task.lie(f"{REDIRECTS_MAX} redirects at most", "more")

    @property
    def answer(self) -> HTTPResponse:
        """The answer that is being read."""
        if self._response is None:
            raise ConnectionError("the connection is closed")
        return self._response

    def read(self, size: int) -> bytes:
        """Return up to so many of the bytes that are left, one at least.

        Raises:
            OSError, HTTPException: They don't come.
        """
        data = self._read(min(size, self.left, _READ_BYTES))
        if not data:
            raise ConnectionError(f"the connection ended, with {self.left} bytes to come")
        self.at, self.left = self.at + len(data), self.left - len(data)
        if not self.left and self._response:
            self._response.close()  # so that the connection can be used again
            self._response = None
        return data

    def read_all(self, most: int) -> bytes:
        """Return the whole answer.

        Raises:
            FetchError: It is larger than that.
            OSError, HTTPException: It doesn't come.
        """
        said, parts, size = self.answer.length, list[bytes](), 0
        while (said or 0) <= most and size <= most and (data := self._read(_READ_BYTES)):
            parts.append(data)
            size += len(data)
        if (said or 0) > most or size > most:
            raise self._task.lie(f"{most} bytes at most", "more")
        if said is not None and size != said:
            raise ConnectionError(f"the connection ended after {size} of {said} bytes")
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Read so many bytes for nothing."""
        while size:
            size -= len(self.read(size))

    def resume(self) -> None:
        """Expect bytes from now on: until now nobody took any."""
        self._since, self._came = time.monotonic(), 0

    def abort(self) -> None:
        """End what another thread is waiting for."""
        if self._socket:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # TLS has its own, which isn't safe for this

    def close(self) -> None:
        """Close the connection; asking opens another."""
        response, connection = self._response, self._connection
        self.left, self._response, self._connection = 0, None, None
        if response:
            response.close()
        if connection:
            connection.close()

    def _ask(self, url: str, token: str | None, wanted: str) -> HTTPResponse:
        parts, origin = urlsplit(url), _origin_of(url)
        headers = {"Accept-Encoding": "identity", "User-Agent": "morphstream"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Range": wanted} if wanted else {}
        if self._response or origin != self._origin:
            self.close()
        for is_used in (True, False):  # the other side may have closed one that was used, and that is no fault
            try:
                if self._connection is None or self._connection.sock is None:
                    is_used = False
                    self._connect(origin)
                connection = cast("HTTPConnection", self._connection)
                connection.request(
                    "GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), None, headers
                )
                self._response = connection.getresponse()
                break
            except (OSError, HTTPException) as error:
                self.close()
                if not is_used or isinstance(error, TimeoutError) or self._task.stop.is_set():
                    raise
        self.resume()
        return self.answer

    def _connect(self, origin: tuple[str, str, int]) -> None:
        scheme, host, port = self._origin = origin
        kind = HTTPSConnection if scheme == "https" else HTTPConnection
        timeout_s = self._task.hub.timeout_s
        self._connection = connection = kind(host, port, timeout=min(timeout_s, _CONNECT_TIMEOUT_S))
        try:
            connection.connect()
        except OSError as error:
            raise _UnreachableError(host, error) from error
        connection.sock.settimeout(timeout_s)
        self._socket = connection.sock
        if self._task.stop.is_set():  # whoever set it may have looked before there was a socket
            raise ConnectionError("closed")

    def _read(self, size: int) -> bytes:
        data = self.answer.read1(size)
        self._came += len(data)
        if time.monotonic() - self._since > self._task.hub.timeout_s:
            if self._came < min(_LEAST_BYTES, self.left or _LEAST_BYTES):
                raise _SlowError(f"{self._came} bytes")
            self.resume()
        return data


class _Download:
    """The bytes of an archive in their order, read by one thread, while others bring what lies behind.

    A server that knows no ranges is read by one of them, from one answer.
    """

    def __init__(self, task: _Task, url: str, connections: int, range_bytes: int) -> None:
        self._task, self._url, self._connections, self._range_bytes = task, url, connections, range_bytes
        self._where: tuple[str, str | None] | None = None  # where a redirect led, and the token that is told there
        self._total, self._is_ranged = 0, True
        self._lines, self._idle, self._lock = list[_Line](), list[_Line](), threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._coming, self._asked = deque[Future[bytearray]](), 0
        self._part = memoryview(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self) -> None:
        """Ask for the first range, which says how large it is and whether there are ranges.

        Raises:
            FetchError: It can't be had.
        """
        line, patience = self._line_at(0), _Patience(self._task)
        while self._pool is None:
            try:
                self._open(line, 0, self._range_bytes)
                self._pool = ThreadPoolExecutor(self._connections if self._is_ranged else 1, "morphstream-hub")
            except _FAULTS as error:
                line.close()
                patience.wait(error)
        self._idle.append(line)
        self._ask_ahead()

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many bytes, none at the end, or all that is left.

        Raises:
            FetchError: They can't be had.
            ValueError: It is closed.
        """
        if self._task.stop.is_set():
            raise ValueError(f"{self._task.what}: read of a closed file")
        if size < 0:
            return b"".join(iter(lambda: self.read(self._range_bytes), b""))
        if not self._part and self._coming:
            self._part = memoryview(b"")  # first, for room
            self._part = memoryview(self._coming.popleft().result())
            self._ask_ahead()
        data, self._part = bytes(self._part[:size]), self._part[size:]
        return data

    def close(self) -> None:
        """Stop; when it returns, no thread and no connection is left."""
        self._task.stop.set()
        with self._lock:
            lines = tuple(self._lines)
        for line in lines:
            line.abort()
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        for line in lines:
            line.close()
        self._coming.clear()
        self._part = memoryview(b"")

    def _ask_ahead(self) -> None:
        while self._pool and self._asked < self._total and len(self._coming) < self._connections + _AHEAD:
            end = min(self._asked + self._range_bytes, self._total)
            self._coming.append(self._pool.submit(self._fetch, self._asked, end))
            self._asked = end

    def _fetch(self, begin: int, end: int) -> bytearray:
        """Return a range, in a thread."""
        part, got, renewed = bytearray(end - begin), 0, 0
        line, patience = self._line_at(begin), _Patience(self._task)
        line.resume()
        while got < len(part):
            try:
                if not (line.left and line.at == begin + got):
                    self._open(line, begin + got, end)
                while got < len(part) and line.left:
                    data = line.read(len(part) - got)
                    part[got : got + len(data)] = data
                    got += len(data)
            except _FAULTS as error:
                line.close()
                if got - renewed >= _LEAST_BYTES:
                    patience.renew()
                    renewed = got
                patience.wait(error)
        with self._lock:
            self._idle.append(line)
        return part

    def _line_at(self, begin: int) -> _Line:
        """Take the line whose answer goes on there, or else one that is idle, or a new one."""
        with self._lock:
            found = next((line for line in self._idle if line.left and line.at == begin), None)
            if line := found or next((line for line in self._idle if not line.left), None):
                self._idle.remove(line)
                return line
            self._lines.append(line := _Line(self._task))
            return line

    def _open(self, line: _Line, begin: int, end: int) -> None:
        """Have a line's answer begin at a byte."""
        is_first = self._pool is None
        wanted = f"bytes={begin}-{end - 1 if self._is_ranged else ''}"
        where = self._where
        try:
            url, token, linked = line.open(*(where or (self._url, self._task.hub.token)), wanted)
        except _RefusedError as refused:
            if where is None or refused.status not in _EXPIRED:
                raise
            url, token, linked = line.open(self._url, self._task.hub.token, wanted)
        self._where = (url, token) if url != self._url else None
        length, headers = line.answer.length, line.answer.headers
        if length is None:
            raise self._task.lie("the size of an answer", "none")
        total = length
        if line.answer.status == 206:
            total = self._check_range(headers.get("Content-Range", ""), begin, end if self._is_ranged else None, length)
            line.at = begin
        for said in (linked, None if is_first else self._total):
            if said not in (None, total):
                raise self._task.lie(f"{said} bytes in all, as was said before", f"{total}")
        if is_first:
            self._total, self._is_ranged = total, line.answer.status == 206
        elif line.answer.status == 200 and self._is_ranged and total > end - begin:
            raise _RefusedError(200, headers, is_hub=False)  # all of it, for one range: another may know better
        line.skip(begin - line.at)

    def _check_range(self, said: str, begin: int, end: int | None, length: int) -> int:
        """Return the size of it all that the answer to a range says."""
        found = _CONTENT_RANGE.fullmatch(said)
        first, last, total = map(int, found.groups()) if found else (0, -1, 0)
        if first != begin or not first <= last < min(total, end or total):
            wanted = f"bytes from {begin}, up to {end} at most" if end else f"bytes from {begin}"
            raise self._task.lie(wanted, said or "no range")
        if length != last + 1 - first:
            raise self._task.lie(f"{last + 1 - first} bytes, as for {said}", f"{length}")
        return total


def _token_of_this_machine() -> str | None:
    """Return the token of the environment, or the one that a login left.

    Raises:
        OSError: It is there, and can't be read.
    """
    if token := os.environ.get("HF_TOKEN", "").strip():
        return token
    try:
        home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
        return (home / "token").read_text("utf-8", "replace").strip() or None
    except (FileNotFoundError, NotADirectoryError, RuntimeError):  # nobody's home
        return None


def _origin_of(url: str) -> tuple[str, str, int]:
    """Return the scheme, the host and the port of an address; empty where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", "", 0
    return (parts.scheme, parts.hostname, port) if parts.hostname else ("", "", 0)


def _target_of(url: str, location: str) -> str:
    """Return where a redirect leads; empty where that is no address."""
    try:
        return quote(urljoin(url, location), safe=_KEPT) if location else ""
    except ValueError:
        return ""


def _wait_of(error: Exception) -> float | None:
    """Return the seconds that an answer asks to wait for, 0 where none does; None where waiting doesn't help."""
    if isinstance(error, _RefusedError):
        return _retry_after(error.headers.get("Retry-After", "")) if error.status in (*_PASSING, 200) else None
    is_untrusted = isinstance(error, _UnreachableError) and isinstance(error.reason, ssl.SSLCertVerificationError)
    return None if is_untrusted else 0.0


def _retry_after(said: str) -> float:
    if re.fullmatch("[0-9]{1,9}", said.strip()):
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _refusal(task: _Task, error: Exception) -> FetchError:
    """Return a fault that stayed, in one line."""
    if isinstance(error, _RefusedError):
        return _status_refusal(task, error)
    if isinstance(error, TimeoutError | _SlowError):
        some = f"only {error}" if isinstance(error, _SlowError) else "none"
        remedy = "the Hub or the line is slow, run it again later"
        return task.refusal(f"an answer in {task.hub.timeout_s:g} s", some, remedy)
    said = str(error) if isinstance(error, OSError) else ""  # others may repeat an address
    seen = f"none ({_short(said, task.hub.token) or type(error).__name__})"
    return task.refusal("an answer", seen, "see the network and HF_ENDPOINT")


def _status_refusal(task: _Task, error: _RefusedError) -> FetchError:
    token, status, headers = task.hub.token, error.status, error.headers
    said = ", ".join(filter(None, (headers.get("X-Error-Code", ""), headers.get("X-Error-Message", ""))))
    seen = f"{status} ({_short(said, token)})" if said else str(status)
    expected, remedy = "its bytes", "see what it says"
    if status in _PASSING:
        expected, remedy = "an answer", "the Hub is busy or down, run it again later"
    elif not error.is_hub:
        remedy = "the store behind the Hub refuses it, run it again later"
    elif "Gated" in headers.get("X-Error-Code", ""):
        expected, remedy = "access to a gated repository", "ask its owner for access, and set HF_TOKEN"
    elif status in (401, 403):
        expected = f"a repository that {'the token in use' if token else 'anybody'} may read"
        remedy = "set HF_TOKEN to one that may, or name another repository"
    elif status == 404:
        what = {"RepoNotFound": "a repository", "RevisionNotFound": "that revision", "EntryNotFound": "that file there"}
        expected = what.get(headers.get("X-Error-Code", ""), "it there")
        remedy = "name one that is there, or set HF_TOKEN if it is private"
    return task.refusal(expected, seen, remedy)


def _short(text: str, token: str | None) -> str:
    """Return a text on one line of some length, without tokens and the queries of addresses."""
    text = _SECRETS.sub("***", text.replace(token, "***") if token else text)
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _MESSAGE_MAX else f"{line[: _MESSAGE_MAX - 3]}..."
