"""A file of the Hub as a stream: ranges come over several connections at once, and are read in their order."""

import re
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import NamedTuple, Self

from morphstream.source.hub.connection import LEAST_BYTES, Answer, Connections
from morphstream.source.hub.refusals import AttemptError
from morphstream.source.hub.request import Request
from morphstream.source.hub.retry import Retry

RANGE_BYTES = 8 << 20  # a request each: large enough that asking costs nothing, small enough to keep several in memory

_PIECE_BYTES = 1 << 20  # handed over at once; what came of it before a fault that stays is handed over, too
_AHEAD = 2  # ranges beside those that are coming
_EXPIRED = frozenset({400, 401, 403, 404, 410})  # of an address that the Hub redirected to some time ago
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class _Range(NamedTuple):
    """A range that is coming: its pieces in their order, an empty one behind the last, and how it ended."""

    pieces: "SimpleQueue[bytes]"
    done: Future[None]

    def end(self, _: object = None) -> None:
        """Note that it ended."""
        self.pieces.put(b"")


class Download:
    """The bytes of a file in their order, read by one thread, while others bring what comes behind.

    A server that knows no ranges is read by one of them, from one answer.

    Attributes:
        total_bytes: Of the whole file, once it has begun.
    """

    def __init__(self, request: Request, address: str, *, connections: int, range_bytes: int, start: int = 0) -> None:
        self._request, self._address, self._range_bytes = request, address, range_bytes
        self._most, self._connections = connections, Connections(request, connections)
        self._found: tuple[str, str | None] | None = None  # where a redirect led, and the token that is sent there
        self.total_bytes, self._is_ranged = 0, True
        self._answer: Answer | None = None  # the first, or the one that ranges are cut from
        self._pool: ThreadPoolExecutor | None = None
        self._coming, self._asked = deque[_Range](), start
        self._current, self._piece = _nothing(), memoryview(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self) -> None:
        """Ask for the first range, which says how large the file is and whether there are ranges.

        Raises:
            FetchError: It can't be had.
            DigestMismatchError: It has another digest or size than is expected.
        """
        retry = Retry(self._request)
        while self._answer is None:
            try:
                self._answer = self._ask(self._asked, self._asked + self._range_bytes)
            except AttemptError as error:
                retry.wait(error)
        self._pool = ThreadPoolExecutor(self._most if self._is_ranged else 1, "morphstream-hub")
        self._ask_ahead()

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
        while not self._piece:
            self._piece = memoryview(self._current.pieces.get())
            if not self._piece:
                self._current.end()  # for whoever reads on behind the end, or after a fault
                self._current.done.result()
                if not self._coming:
                    break
                self._current = self._coming.popleft()
                self._ask_ahead()
        data, self._piece = bytes(self._piece[:size]), self._piece[size:]
        return data

    def close(self) -> None:
        """Stop; when it returns, no thread and no connection is left."""
        self._request.stop.set()
        self._connections.abort()
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._connections.close()
        self._coming.clear()
        self._piece = memoryview(b"")

    def _ask_ahead(self) -> None:
        while self._pool and self._asked < self.total_bytes and len(self._coming) < self._most + _AHEAD:
            end, pieces = min(self._asked + self._range_bytes, self.total_bytes), SimpleQueue[bytes]()
            coming = _Range(pieces, self._pool.submit(self._bring, self._asked, end, pieces))
            coming.done.add_done_callback(coming.end)
            self._coming.append(coming)
            self._asked = end

    def _bring(self, begin: int, end: int, pieces: "SimpleQueue[bytes]") -> None:
        """Bring a range, in a thread.

        Raises:
            FetchError: It can't be had; what came of it is in the queue.
        """
        retry, counted, piece = Retry(self._request), begin, bytearray()
        answer = self._answer if self._answer and self._answer.position == begin else None
        if answer:
            self._answer = None
            answer.resume()
        try:
            while begin < end:
                try:
                    answer = answer if answer and answer.left else self._ask(begin, end)
                    piece += (data := answer.read(min(end - begin, _PIECE_BYTES - len(piece))))
                    begin += len(data)
                except AttemptError as error:
                    if answer:
                        answer.close()
                    answer = None
                    if begin - counted >= LEAST_BYTES:
                        retry.renew()
                        counted = begin
                    retry.wait(error)
                if len(piece) == _PIECE_BYTES:
                    pieces.put(bytes(piece))
                    piece.clear()
        finally:
            if piece:
                pieces.put(bytes(piece))
        if answer and answer.left:
            self._answer = answer

    def _ask(self, begin: int, end: int) -> Answer:
        """Return an answer that is at a byte of the file."""
        byte_range = f"bytes={begin}-{end - 1 if self._is_ranged else ''}"
        first, found = (self._address, self._request.hub.token), self._found
        try:
            answer = self._connections.ask(*(found or first), byte_range)
        except AttemptError as error:
            if not found or error.status not in _EXPIRED:
                raise
            answer = self._connections.ask(*first, byte_range)
        self._found = (answer.address, answer.token) if answer.address != self._address else None
        try:
            self._check(answer, begin, end)
            answer.skip_to(begin)
        except BaseException:
            answer.close()
            raise
        return answer

    def _check(self, answer: Answer, begin: int, end: int) -> None:
        """Check what an answer says of itself, and learn from the first one."""
        request, total, is_first = self._request, answer.left, self._pool is None
        if total is None:
            raise request.inconsistent_answer("the size of an answer", "none")
        is_ranged = answer.status == 206
        if is_ranged:
            total = self._check_range(answer.content_range, begin, end if self._is_ranged else None, total)
            answer.position = begin
        request.check_size(total)
        if total < begin:
            raise request.inconsistent_answer(f"{begin} bytes at least", f"{total}")
        for known in (answer.linked_bytes, None if is_first else self.total_bytes):
            if known not in (None, total):
                raise request.inconsistent_answer(f"{known} bytes in all, as was said before", f"{total}")
        if is_first:
            self.total_bytes, self._is_ranged = total, is_ranged
        elif self._is_ranged and not is_ranged and total > end - begin:  # another server may know ranges
            raise AttemptError("a range", "all of the file", "run it again later", status=answer.status)

    def _check_range(self, text: str, begin: int, end: int | None, length: int) -> int:
        """Return the size of the whole file, as the answer to a range names it."""
        found = _CONTENT_RANGE.fullmatch(text)
        first, last, total = map(int, found.groups()) if found else (0, -1, 0)
        if first != begin or not first <= last < min(total, end or total):
            wanted = f"bytes from {begin}, up to {end} at most" if end else f"bytes from {begin}"
            raise self._request.inconsistent_answer(wanted, text or "no range")
        if length != last + 1 - first:
            raise self._request.inconsistent_answer(f"{last + 1 - first} bytes, as for {text}", f"{length}")
        return total


def _nothing() -> _Range:
    """Return a range that is read."""
    nothing = _Range(SimpleQueue(), Future())
    nothing.end()
    nothing.done.set_result(None)
    return nothing
