"""A file of the Hub as a stream: ranges come over several connections at once, and are read in their order."""

import io
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple, cast

from urllib3 import BaseHTTPResponse

from morphstream.source.hub.attempt import LEAST_BYTES, AttemptError, Clock
from morphstream.source.hub.connections import READ_BYTES
from morphstream.source.hub.file import HubFile
from morphstream.source.hub.refusals import Retry, inconsistent

RANGE_BYTES = 8 << 20  # a request each: large enough that asking costs nothing, small enough to keep several in memory

_PIECE_BYTES = 1 << 20  # given to the reader at once, at most; after a fault, what came until then
_AHEAD = 2  # ranges beside those that are coming
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_PARTIAL = 206


class _Answer(NamedTuple):
    """An answer that begins to come, and what counts its time."""

    response: BaseHTTPResponse
    clock: Clock


class Download(io.RawIOBase):
    """A file of the Hub as a stream, whose next ranges threads download meanwhile.

    The one answer of a server that knows no ranges is read as it comes, without threads.
    """

    def __init__(self, file: HubFile, *, range_bytes: int, start: int) -> None:
        """Ask for the first range; the answer tells the file's size, and whether the server knows ranges."""
        self._file, self._range_bytes, self._asked = file, range_bytes, start
        self._coming, self._piece = deque[Iterator[bytes]](), cast("bytes | memoryview", b"")
        self._pool, self._has_ranges = ThreadPoolExecutor(file.count, "morphstream-hub"), False
        retry = file.retry()
        try:
            first = retry.call(lambda: self._ask(start, start + range_bytes, retry.clock()))
        except BaseException:
            self.close()
            raise
        self.total_bytes, self._has_ranges = file.total_bytes or 0, first.response.status == _PARTIAL
        if self._has_ranges:
            self._ask_ahead(retry, first)
        else:
            self._coming.append(self._pieces(start, self.total_bytes, retry, first))
        self._rest = self._in_order()

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none at the end; all the rest where it is negative."""
        if self._file.connections.stop.is_set():
            raise ValueError(f"{self._file.what}: read of a closed file")
        if size < 0:
            return b"".join(iter(lambda: self.read(self._range_bytes), b""))
        piece = self._piece or next(self._rest, b"")
        if len(piece) <= size:  # nearly always, so that it isn't copied
            self._piece = b""
            return bytes(piece)
        data, self._piece = bytes(piece[:size]), memoryview(piece)[size:]
        return data

    def close(self) -> None:
        """Cancel what is still coming; when this returns, all threads and connections have ended."""
        self._file.connections.abort()
        self._pool.shutdown(cancel_futures=True)
        self._file.connections.close()
        self._coming.clear()
        super().close()

    def _in_order(self) -> Iterator[bytes]:
        while self._coming:
            current = self._coming.popleft()
            self._ask_ahead()
            yield from current

    def _ask_ahead(self, retry: Retry | None = None, first: _Answer | None = None) -> None:
        while self._has_ranges and self._asked < self.total_bytes and len(self._coming) < self._file.count + _AHEAD:
            end = min(self._asked + self._range_bytes, self.total_bytes)
            pieces = self._pieces(self._asked, end, retry or self._file.retry(), first)
            self._coming.append(_in_thread(self._pool, pieces))
            self._asked, retry, first = end, None, None

    def _pieces(self, begin: int, end: int, retry: Retry, answer: _Answer | None) -> Iterator[bytes]:
        """Yield a range in pieces, from one answer or several; ask again from the byte where one was cut."""
        clock = answer.clock if answer else retry.clock()
        counted, parts, size = begin, list[bytes](), 0
        while begin < end:
            fault = None
            try:
                for data in self._received(begin, end, answer or self._ask(begin, end, clock)):
                    parts.append(data)
                    begin, size = begin + len(data), size + len(data)
                    if size > _PIECE_BYTES - READ_BYTES:
                        yield b"".join(parts)
                        parts, size = [], 0
            except AttemptError as error:
                fault = error
            if parts:
                yield b"".join(parts)
                parts, size = [], 0
            if fault:
                if begin - counted >= LEAST_BYTES:
                    counted = begin
                    retry.renew()
                retry.wait(fault)
                clock = retry.clock()  # another answer with less than was asked for goes on with the same
            answer = None

    def _received(self, begin: int, end: int, answer: _Answer) -> Iterator[bytes]:
        """Yield what one answer has of a range."""
        position = begin if answer.response.status == _PARTIAL else 0
        for data in self._file.connections.stream(*answer):
            position += len(data)
            if position > end:  # of an answer that didn't announce its size
                raise inconsistent(f"{end} bytes", "more")
            if position > begin:
                yield data[begin - position :]
        if position <= begin:
            raise AttemptError(f"{end} bytes", f"{position}", "see HF_ENDPOINT")

    def _ask(self, begin: int, end: int, clock: Clock) -> _Answer:
        """Return an answer with a range, or with the whole file, that agrees with the answers before."""
        file, response = self._file, self._file.ask(clock, f"bytes={begin}-{end - 1}")
        length, is_range = response.length_remaining, response.status == _PARTIAL
        if length is None and not is_range and file.digest:
            length = file.digest.bytes  # a mirror may send a file whose size it doesn't announce
        if (total := length) is None:
            raise inconsistent("the size of an answer", "none")
        if is_range:
            text = response.headers.get("Content-Range", "")
            found = _CONTENT_RANGE.fullmatch(text)
            first, last, total = map(int, found.groups()) if found else (0, -1, 0)
            if first != begin or not first <= last < min(total, end):
                raise inconsistent(f"bytes from {begin}, up to {end} at most", text or "no range")
            if length != last + 1 - first:
                raise inconsistent(f"{last + 1 - first} bytes, as for {text}", f"{length}")
        file.check_size(total)
        if self._has_ranges and not is_range and total > end - begin:
            response.close()
            raise AttemptError("a range", "all of the file", "run it again later")  # another server may know ranges
        return _Answer(response, clock)


def _in_thread(pool: ThreadPoolExecutor, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Make pieces in a thread; yield them, and then raise its error, if any."""
    queue = SimpleQueue[bytes]()
    done = pool.submit(lambda: deque(map(queue.put, pieces), maxlen=0))
    done.add_done_callback(lambda _: queue.put(b""))  # also where it was cancelled

    def made() -> Iterator[bytes]:
        yield from iter(queue.get, b"")
        done.result()

    return made()
