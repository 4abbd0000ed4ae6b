"""A file of the Hub as a stream: ranges come over several connections at once, and are read in their order."""

import io
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue

from urllib3 import BaseHTTPResponse

from morphstream.source.hub.connection import LEAST_BYTES, HubFile
from morphstream.source.hub.refusals import AttemptError
from morphstream.source.hub.request import Request

RANGE_BYTES = 8 << 20  # a request each: large enough that asking costs nothing, small enough to keep several in memory

_PIECE_BYTES = 1 << 20  # given to the reader at once; after a fault, what came until then
_AHEAD = 2  # ranges beside those that are coming
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_PARTIAL = 206


class Download(io.RawIOBase):
    """A file of the Hub as a stream, whose next ranges threads download meanwhile.

    The one answer of a server that knows no ranges is read as it comes, without threads.

    Attributes:
        total_bytes: Of the whole file, once it has begun.
    """

    def __init__(self, request: Request, address: str, *, connections: int, range_bytes: int, start: int = 0) -> None:
        self._request, self._connections, self._range_bytes = request, connections, range_bytes
        self._file = HubFile(request, address, connections)
        self.total_bytes: int | None = None
        self._coming, self._asked = deque[Iterator[bytes]](), start
        self._current, self._piece = iter(list[bytes]()), memoryview(b"")
        self._pool: ThreadPoolExecutor | None = None  # None where there are no ranges, too

    def begin(self) -> None:
        """Ask for the first range; the answer tells the file's size, and whether the server knows ranges.

        Raises:
            FetchError: It can't be had.
            DigestMismatchError: It has another digest or size than is expected.
        """
        retry, first = self._request.retry(), None
        while first is None:
            try:
                first = self._ask(self._asked, self._asked + self._range_bytes)
            except AttemptError as error:
                retry.wait(error)
        if first.status == _PARTIAL:
            self._pool = ThreadPoolExecutor(self._connections, "morphstream-hub")
            self._ask_ahead(first)
        else:
            self._current = self._pieces(self._asked, self.total_bytes or 0, first)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none at the end; all the rest where it is negative.

        Raises:
            FetchError: They can't be had.
            ValueError: It is closed.
        """
        if self._request.stop.is_set():
            raise ValueError(f"{self._request.what}: read of a closed file")
        if size < 0:
            return b"".join(iter(lambda: self.read(self._range_bytes), b""))
        while not self._piece:
            if piece := next(self._current, b""):
                self._piece = memoryview(piece)
            elif self._coming:
                self._current = self._coming.popleft()
                self._ask_ahead()
            else:
                break
        data, self._piece = bytes(self._piece[:size]), self._piece[size:]
        return data

    def close(self) -> None:
        """Cancel what is still coming; when this returns, all threads and connections have ended."""
        self._request.stop.set()
        self._file.abort()
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._file.close()
        self._coming.clear()
        super().close()

    def _ask_ahead(self, first: BaseHTTPResponse | None = None) -> None:
        total = self.total_bytes or 0
        while self._pool and self._asked < total and len(self._coming) < self._connections + _AHEAD:
            end, pieces = min(self._asked + self._range_bytes, total), SimpleQueue[bytes]()
            done = self._pool.submit(self._download, pieces, self._asked, end, first)
            done.add_done_callback(partial(_end, pieces))
            self._coming.append(_downloaded(pieces, done))
            self._asked, first = end, None

    def _download(self, pieces: "SimpleQueue[bytes]", begin: int, end: int, response: BaseHTTPResponse | None) -> None:
        """Download a range, in a thread of the pool."""
        for piece in self._pieces(begin, end, response):
            pieces.put(piece)

    def _pieces(self, begin: int, end: int, response: BaseHTTPResponse | None) -> Iterator[bytes]:
        """Yield a range in pieces; ask again from the byte where an answer was cut.

        Args:
            begin: First byte.
            end: Behind the last byte.
            response: An answer that begins there, or 200 with the whole file; None to ask for one.

        Raises:
            FetchError: It can't be had.
        """
        retry, counted, piece = self._request.retry(), begin, bytearray()
        while begin < end:
            fault = None
            try:
                for data in self._received(begin, end, response):
                    piece += data
                    begin += len(data)
                    if len(piece) >= _PIECE_BYTES:
                        yield bytes(piece)
                        piece.clear()
            except AttemptError as error:
                fault = error
            if piece:
                yield bytes(piece)
                piece.clear()
            if fault:
                if begin - counted >= LEAST_BYTES:
                    retry.renew()
                    counted = begin
                retry.wait(fault)
            response = None

    def _received(self, begin: int, end: int, response: BaseHTTPResponse | None) -> Iterator[bytes]:
        """Yield what one answer has of a range."""
        response = response or self._ask(begin, end)
        position = begin if response.status == _PARTIAL else 0
        for data in self._file.stream(response):
            position += len(data)
            if position > end:  # of an answer that didn't announce its size
                raise self._request.inconsistent_answer(f"{end} bytes", "more")
            if position > begin:
                yield data[begin - position :]
        if position <= begin:
            raise AttemptError(f"{end} bytes", f"{position}", "see HF_ENDPOINT")

    def _ask(self, begin: int, end: int) -> BaseHTTPResponse:
        """Return an answer with a range, or with the whole file, that agrees with the answers before."""
        request, response = self._request, self._file.ask(f"bytes={begin}-{end - 1}")
        length = response.length_remaining
        if length is None and response.status != _PARTIAL and request.digest:
            length = request.digest.bytes  # a mirror may send a file whose size it doesn't announce
        if (total := length) is None:
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
                raise request.inconsistent_answer(f"{known} bytes in all, as announced before", f"{total}")
        if self._pool and response.status != _PARTIAL and total > end - begin:
            response.close()
            raise AttemptError("a range", "all of the file", "run it again later")  # another server may know ranges
        self.total_bytes = total
        return response


def _downloaded(pieces: "SimpleQueue[bytes]", done: Future[None]) -> Iterator[bytes]:
    """Yield the pieces that a thread downloads, then raise its error, if any."""
    yield from iter(pieces.get, b"")
    done.result()


def _end(pieces: "SimpleQueue[bytes]", _: object) -> None:
    """Mark the end of a queue of pieces."""
    pieces.put(b"")
