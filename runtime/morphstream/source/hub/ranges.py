"""A file of the Hub as a stream: ranges come over several connections at once, and are read in their order."""

import io
import re
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from urllib3 import BaseHTTPResponse

from morphstream.source.hub.connection import LEAST_BYTES, HubFile
from morphstream.source.hub.refusals import AttemptError
from morphstream.source.hub.request import Request

RANGE_BYTES = 8 << 20  # a request each: large enough that asking costs nothing, small enough to keep several in memory

_AHEAD = 2  # ranges beside those that are coming
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_PARTIAL = 206


class Download(io.RawIOBase):
    """The bytes of a file in their order, read by one thread, while others bring what comes behind.

    A server that knows no ranges is read by one of them, from one answer.

    Attributes:
        total_bytes: Of the whole file, once it has begun.
    """

    def __init__(self, request: Request, address: str, *, connections: int, range_bytes: int, start: int = 0) -> None:
        self._request, self._connections, self._range_bytes = request, connections, range_bytes
        self._file = HubFile(request, address, connections)
        self.total_bytes: int | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._coming, self._asked = deque[_Range](), start
        self._is_ranged = False
        self._current = _Range(0)
        self._current.done.set_result(None)
        self._current.end()

    def begin(self) -> None:
        """Ask for the first range, which says how large the file is and whether there are ranges.

        Raises:
            FetchError: It can't be had.
            DigestMismatchError: It has another digest or size than is expected.
        """
        retry = self._request.retry()
        while self._pool is None:
            try:
                first = self._ask(self._asked, self._asked + self._range_bytes)
            except AttemptError as error:
                retry.wait(error)
                continue
            self._is_ranged = first.status == _PARTIAL
            self._pool = ThreadPoolExecutor(self._connections if self._is_ranged else 1, "morphstream-hub")
            self._ask_ahead(first)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many bytes, none at the end, or all that is left.

        Raises:
            FetchError: They can't be had.
            ValueError: It is closed.
        """
        if self._request.stop.is_set():
            raise ValueError(f"{self._request.what}: read of a closed file")
        if size < 0:
            return b"".join(iter(lambda: self.read(self._range_bytes), b""))
        while not (data := self._current.take(size)) and self._coming:
            self._current = self._coming.popleft()
            self._ask_ahead()
        return data

    def close(self) -> None:
        """Stop; when it returns, no thread and no connection is left."""
        self._request.stop.set()
        self._file.abort()
        for each in (self._current, *self._coming):
            each.end()
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._file.close()
        self._coming.clear()
        super().close()

    def _ask_ahead(self, first: BaseHTTPResponse | None = None) -> None:
        total = self.total_bytes or 0
        while self._pool and self._asked < total and len(self._coming) < self._connections + _AHEAD:
            end = min(self._asked + self._range_bytes, total) if self._is_ranged else total
            self._coming.append(coming := _Range(self._range_bytes))
            coming.done = self._pool.submit(self._bring, coming, self._asked, end, first)
            coming.done.add_done_callback(coming.end)
            self._asked, first = end, None

    def _bring(self, coming: "_Range", begin: int, end: int, response: BaseHTTPResponse | None) -> None:
        """Bring a range, in a thread, from an answer or else a new one.

        Raises:
            FetchError: It can't be had.
        """
        retry, counted = self._request.retry(), begin
        while begin < end:
            try:
                response = response or self._ask(begin, end)
                position = begin if response.status == _PARTIAL else 0
                for data in self._file.stream(response):
                    position += len(data)
                    if position > begin:
                        coming.put(data[begin - position :])
                        begin = position
            except AttemptError as error:
                if begin - counted >= LEAST_BYTES:
                    retry.renew()
                    counted = begin
                retry.wait(error)
            response = None

    def _ask(self, begin: int, end: int) -> BaseHTTPResponse:
        """Return an answer that has a range, or all of the file, and agrees with what was said before."""
        request, response = self._request, self._file.ask(f"bytes={begin}-{end - 1}")
        total = length = response.length_remaining
        if total is None or length is None:
            raise request.inconsistent_answer("the size of an answer", "none")
        if response.status == _PARTIAL:
            text = response.headers.get("Content-Range", "")
            found = _CONTENT_RANGE.fullmatch(text)
            first, last, total = map(int, found.groups()) if found else (0, -1, 0)
            if first != begin or not first <= last < min(total, end):
                raise request.inconsistent_answer(f"bytes from {begin}, up to {end} at most", text or "no range")
            if length != last + 1 - first:
                raise request.inconsistent_answer(f"{last + 1 - first} bytes, as for {text}", f"{length}")
        request.check_size(total)
        for known in (self._file.linked_bytes, self.total_bytes):
            if known not in (None, total):
                raise request.inconsistent_answer(f"{known} bytes in all, as was said before", f"{total}")
        if self._is_ranged and response.status != _PARTIAL and total > end - begin:
            response.close()
            raise AttemptError("a range", "all of the file", "run it again later")  # another server may know ranges
        self.total_bytes = total
        return response


class _Range:
    """The bytes of a range, between the thread that brings them and the one that reads them.

    Attributes:
        done: How bringing them ended.
    """

    def __init__(self, most: int) -> None:
        self.done = Future[None]()
        self._most, self._data, self._changed = most, bytearray(), threading.Condition()
        self._is_ended = False

    def put(self, data: bytes) -> None:
        """Add bytes; wait where there are too many."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ended or len(self._data) < self._most)
            self._data += data
            self._changed.notify_all()

    def take(self, size: int) -> bytes:
        """Return up to so many bytes, none at the end.

        Raises:
            FetchError: They can't be had.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_ended or self._data)
            data = bytes(self._data[:size])
            del self._data[:size]
            self._changed.notify_all()
        if not data:
            self.done.result()
        return data

    def end(self, _: object = None) -> None:
        """Note that no more comes."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()
