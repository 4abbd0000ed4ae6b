"""Who may use what is open: one thread at a time, in the process that opened it, until it is closed."""

import os
from threading import Lock

from morphstream.artifact.errors import UseError


class Turns:
    """A lock whose block is one use of something open; a use that can't be right is refused at once.

    After a fork the child has neither the threads of libraries nor of pools, and may have locks that nobody releases:
    what its parent opened would wait there for ever.
    """

    def __init__(self, what: str, *, waits: bool = True) -> None:
        """Begin with something open.

        Args:
            what: Its name in refusals.
            waits: Whether a second thread waits for the first; else it is refused.
        """
        self._what, self._waits, self._process = what, waits, os.getpid()
        self._lock, self._is_open = Lock(), True

    def __enter__(self) -> None:
        self._check()
        if not self._lock.acquire(blocking=self._waits):
            remedy = "open one for each thread, or share a pipeline, whose calls wait for each other"
            raise UseError(f"{self._what}: expected one thread at a time, seen a second; {remedy}")
        if not self._is_open:  # since it waited
            self._lock.release()
            self._check()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def close(self) -> bool:
        """End all uses, once the present one has ended; return whether this call is to release what was open.

        It isn't after an earlier one, nor in a forked process, where what the parent opened is the parent's.
        """
        if os.getpid() != self._process:
            return False
        with self._lock:
            was_open, self._is_open = self._is_open, False
        return was_open

    def _check(self) -> None:
        if (process := os.getpid()) != self._process:
            seen = f"seen process {process}, forked from it; open one in each process"
            raise UseError(f"{self._what}: expected its own process {self._process}, {seen}")
        if not self._is_open:
            raise UseError(f"{self._what}: expected it open, seen it closed; open another")
