"""When to attempt a request to the Hub again, and when to give it up."""

from collections.abc import Iterator

from morphstream.source.hub.refusals import AttemptError
from morphstream.source.hub.request import Request

PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # before each further attempt
WAIT_MAX_S = 120.0  # of what the Hub asks for


class Retry:
    """The attempts at one request: each fault costs a pause, and where none is left is a refusal."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.renew()

    def renew(self) -> None:
        """Begin to count anew, as some bytes came."""
        self._pauses = iter(self._request.hub.pauses_s)

    def wait(self, error: AttemptError) -> None:
        """Pause before another attempt.

        Raises:
            FetchError: None can help or is left, or the request was closed.
        """
        request, pause_s = self._request, pause_of(error.wait_s, self._pauses)
        if request.stop.is_set() or (pause_s is not None and request.stop.wait(pause_s)):
            raise request.refusal("its bytes", "its end", "it was closed")
        if pause_s is None:
            raise error.refusal(request.what) from None


def pause_of(wait_s: float | None, pauses_s: Iterator[float]) -> float | None:
    """Return the seconds to pause before another attempt; None where there should be none.

    Args:
        wait_s: What the other side asks for, 0 where it asks for nothing; None where no attempt can help.
        pauses_s: Those that are left; one is used up.
    """
    pause_s = None if wait_s is None or wait_s > WAIT_MAX_S else next(pauses_s, None)
    return None if pause_s is None or wait_s is None else max(pause_s, wait_s)
