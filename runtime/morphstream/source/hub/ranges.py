"""An archive of the Hub as a stream: ranges come over several lines at once, and are given in their order."""

import re
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from morphstream.source.hub.faults import FAULTS, Patience, RefusedError, Task
from morphstream.source.hub.line import LEAST_BYTES, Line

RANGE_BYTES = 8 << 20  # a request each: large enough that asking costs nothing, small enough to keep several in memory

_AHEAD = 2  # ranges beside those that are coming
_EXPIRED = frozenset({400, 401, 403, 404, 410})  # of an address that the Hub gave some time ago
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class Download:
    """The bytes of an archive in their order, read by one thread, while others bring what lies behind.

    A server that knows no ranges is read by one of them, from one answer.

    Attributes:
        total_bytes: Of all that it has, once it has begun.
    """

    def __init__(self, task: Task, url: str, connections: int, range_bytes: int) -> None:
        self._task, self._url, self._connections, self._range_bytes = task, url, connections, range_bytes
        self._where: tuple[str, str | None] | None = None  # where a redirect led, and the token that is told there
        self.total_bytes, self._is_ranged = 0, True
        self._lines, self._idle, self._lock = list[Line](), list[Line](), threading.Lock()
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
        line, patience = self._line_at(0), Patience(self._task)
        while self._pool is None:
            try:
                self._open(line, 0, self._range_bytes)
                self._pool = ThreadPoolExecutor(self._connections if self._is_ranged else 1, "morphstream-hub")
            except FAULTS as error:
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
        while self._pool and self._asked < self.total_bytes and len(self._coming) < self._connections + _AHEAD:
            end = min(self._asked + self._range_bytes, self.total_bytes)
            self._coming.append(self._pool.submit(self._fetch, self._asked, end))
            self._asked = end

    def _fetch(self, begin: int, end: int) -> bytearray:
        """Return a range, in a thread."""
        part, got, renewed = bytearray(end - begin), 0, 0
        line, patience = self._line_at(begin), Patience(self._task)
        line.resume()
        while got < len(part):
            try:
                if not (line.left and line.at == begin + got):
                    self._open(line, begin + got, end)
                while got < len(part) and line.left:
                    data = line.read(len(part) - got)
                    part[got : got + len(data)] = data
                    got += len(data)
            except FAULTS as error:
                line.close()
                if got - renewed >= LEAST_BYTES:
                    patience.renew()
                    renewed = got
                patience.wait(error)
        with self._lock:
            self._idle.append(line)
        return part

    def _line_at(self, begin: int) -> Line:
        """Take the line whose answer goes on there, or else one that is idle, or a new one."""
        with self._lock:
            found = next((line for line in self._idle if line.left and line.at == begin), None)
            if line := found or next((line for line in self._idle if not line.left), None):
                self._idle.remove(line)
                return line
            self._lines.append(line := Line(self._task))
            return line

    def _open(self, line: Line, begin: int, end: int) -> None:
        """Have a line's answer begin at a byte."""
        is_first = self._pool is None
        wanted = f"bytes={begin}-{end - 1 if self._is_ranged else ''}"
        where = self._where
        try:
            url, token, linked = line.open(*(where or (self._url, self._task.hub.token)), wanted)
        except RefusedError as refused:
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
        for said in (linked, None if is_first else self.total_bytes):
            if said not in (None, total):
                raise self._task.lie(f"{said} bytes in all, as was said before", f"{total}")
        if is_first:
            self.total_bytes, self._is_ranged = total, line.answer.status == 206
        elif line.answer.status == 200 and self._is_ranged and total > end - begin:
            raise RefusedError(200, headers, is_hub=False)  # all of it, for one range: another may know better
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
