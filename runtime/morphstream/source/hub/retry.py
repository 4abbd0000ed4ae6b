"""When to attempt a request to the Hub again, and when to give it up."""

import threading
from collections.abc import Iterable

from morphstream.source.hub.refusals import AttemptError

PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # before each retry
WAIT_MAX_S = 120.0  # longest Retry-After that is waited for


class Retry:
    """Attempts at one request: each error uses up a pause; when none remains, the request is refused."""

    def __init__(self, what: str, pauses_s: Iterable[float], stop: threading.Event | None = None) -> None:
        """Begin to count attempts.

        Args:
            what: Name of the request in a refusal.
            pauses_s: Before each retry; a longer Retry-After counts instead.
            stop: Set when the request is cancelled.
        """
        self._what, self._all_s, self._stop = what, tuple(pauses_s), stop or threading.Event()
        self.renew()

    def renew(self) -> None:
        """Begin to count anew, as bytes have come."""
        self._pauses_s = iter(self._all_s)

    def wait(self, error: AttemptError) -> None:
        """Pause before a retry.

        Raises:
            FetchError: A retry can't help, none remains, or the request was cancelled.
        """
        is_final = error.wait_s is None or error.wait_s > WAIT_MAX_S
        pause_s = None if is_final else next(self._pauses_s, None)
        if self._stop.is_set() or (pause_s is not None and self._stop.wait(max(pause_s, error.wait_s or 0.0))):
            error = AttemptError("its bytes", "its end", "it was closed")
        elif pause_s is not None:
            return
        raise error.refusal(self._what) from None
