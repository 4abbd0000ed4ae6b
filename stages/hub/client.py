"""Call the Hub's own client: retries, and refusals in one line without any token.

What is retried, how long to wait and the words of a refusal are the runtime's, as for reading.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import httpx2
from huggingface_hub import get_session, get_token, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils.logging import get_verbosity, set_verbosity_error
from huggingface_hub.utils.tqdm import disable_progress_bars

from morphstream.artifact.errors import FetchError, MorphstreamError
from morphstream.source.hub.refusals import AttemptError, refused, shortened, unanswered
from morphstream.source.hub.retry import PAUSES_S, WAIT_MAX_S, Retry

__all__ = ["FAULTS", "PAUSES_S", "WAIT_MAX_S", "HubError", "OutrunError", "ask", "check_hub_s", "prepare_client"]

_ANSWER_TIMEOUT_S = 120.0  # a large commit takes the Hub a minute

_T = TypeVar("_T")

HubError = FetchError  # one error for reading and writing
FAULTS = (httpx2.HTTPError, ValueError, KeyError, TypeError, RuntimeError, OSError)  # of the client; see `check_hub_s`


class OutrunError(MorphstreamError):
    """Another publisher's commit came first; read the tip and merge again."""


def prepare_client() -> None:
    """Make the client quiet, and bound its waiting; to be called once, before its first use."""
    if get_verbosity() >= logging.WARNING:  # unless the user asked for more
        set_verbosity_error()  # type: ignore[no-untyped-call] # its warnings are more than one line
    if not sys.stderr.isatty():
        disable_progress_bars()
    hooks = get_session().event_hooks
    set_client_factory(lambda: httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=_ANSWER_TIMEOUT_S))


def ask(what: str, call: Callable[[], _T], pauses_s: Sequence[float] = PAUSES_S) -> _T:
    """Return the result of a call of the client; retry it where a fault may pass.

    Args:
        what: Name of the request in a refusal.
        call: Makes the request; must be safe to repeat.
        pauses_s: Seconds before each retry; a longer Retry-After counts instead.
    """
    retry = Retry(what, pauses_s)
    while True:
        try:
            return call()
        except FAULTS as error:
            check_hub_s(error)
            retry.wait(_attempt(error))


def check_hub_s(error: Exception) -> None:
    """Raise an exception again if a local file caused it, not the Hub: an `OSError` with a number."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def wait_of(error: Exception) -> float | None:
    """Return the least seconds before a retry; None where a retry can't help."""
    return _attempt(error).wait_s


def refusal(what: str, error: Exception) -> HubError:
    """Return the refusal for an exception of the client, in one line."""
    return _attempt(error).refusal(what)


def _attempt(error: Exception) -> AttemptError:
    """Return the error for an exception of the client."""
    token = get_token()
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):  # of an upload's thread
        return _attempt(error.__cause__)
    if isinstance(error, HfHubHTTPError):
        headers = {name: error.response.headers.get(name, "") for name in ("X-Error-Code", "Retry-After")}
        headers |= {"X-Error-Message": error.server_message or ""}
        is_write = error.response.request.method not in ("GET", "HEAD")
        return refused(error.response.status_code, headers, token, is_write=is_write)
    reason = shortened(str(error), token) or type(error).__name__
    if isinstance(error, httpx2.TransportError):
        return unanswered(reason, token)
    is_final = isinstance(error, PermissionError | FileNotFoundError | OfflineModeIsEnabled)
    is_passing = isinstance(error, OSError | RuntimeError) and not is_final  # OSError: less came than was announced
    seen = f"one that can't be read ({type(error).__name__}: {reason})"
    return AttemptError("an answer of a Hub", seen, "see HF_ENDPOINT", 0.0 if is_passing else None)
