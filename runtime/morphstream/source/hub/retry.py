"""When to attempt a request to the Hub again, and when to give it up."""

import threading
from collections.abc import Iterable

from morphstream.source.hub.refusals import AttemptError

PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # before each further attempt
WAIT_MAX_S = 120.0  # of what the Hub asks for


class Retry:
    """The attempts at one thing: each fault costs a pause, and where none is left is a refusal."""

    def __init__(self, what: str, pauses_s: Iterable[float], stop: threading.Event | None = None) -> None:
        """Begin to count.

        Args:
            what: Is asked for.
            pauses_s: Before each further attempt; the Hub's own wish counts when it is longer.
            stop: Set when nobody waits for it any more.
        """
        self._what, self._all_s, self._stop = what, tuple(pauses_s), stop or threading.Event()
        self.renew()

    def renew(self) -> None:
        """Begin to count anew, as something came."""
        self._pauses_s = iter(self._all_s)

    def wait(self, error: AttemptError) -> None:
        """Pause before another attempt.

        Raises:
            FetchError: None can help or is left, or it was closed.
        """
        is_final = error.wait_s is None or error.wait_s > WAIT_MAX_S
        pause_s = None if is_final else next(self._pauses_s, None)
        if self._stop.is_set() or (pause_s is not None and self._stop.wait(max(pause_s, error.wait_s or 0.0))):
            error = AttemptError("its bytes", "its end", "it was closed")
        elif pause_s is not None:
            return
        raise error.refusal(self._what) from None
