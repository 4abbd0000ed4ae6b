"""Call the Hub's own client, again where that helps, and refuse in one line, without a word of any token.

Which faults may pass, how long to wait and the words of a refusal are those of the runtime's reading of the Hub.
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

HubError = FetchError  # the Hub can't be reached, or refuses, whoever asked it
FAULTS = (httpx2.HTTPError, ValueError, KeyError, TypeError, RuntimeError, OSError)  # of the client; see `check_hub_s`


class OutrunError(MorphstreamError):
    """Another publisher's commit came first; read the tip and merge again."""


def prepare_client() -> None:
    """Make the client quiet, and never wait for ever; to be called once, before it is used."""
    if get_verbosity() >= logging.WARNING:  # nobody asked for more
        set_verbosity_error()  # type: ignore[no-untyped-call] # its warnings are more than one line
    if not sys.stderr.isatty():
        disable_progress_bars()
    hooks = get_session().event_hooks
    set_client_factory(lambda: httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=_ANSWER_TIMEOUT_S))


def ask(what: str, call: Callable[[], _T], pauses_s: Sequence[float] = PAUSES_S) -> _T:
    """Return what a call of the client returns; asked again where a fault may pass.

    Args:
        what: The thing asked for, for the refusal.
        call: Asks for it; must be safe to repeat.
        pauses_s: Seconds before each further attempt; the Hub's own wish counts when it is longer.

    Raises:
        HubError: The Hub refuses, or the fault did not pass.
        OSError: A local file can't be read or written.
    """
    retry = Retry(what, pauses_s)
    while True:
        try:
            return call()
        except FAULTS as error:
            check_hub_s(error)
            retry.wait(_attempt(error))


def check_hub_s(error: Exception) -> None:
    """Raise a fault again that isn't the Hub's, but a local file's: an `OSError` with a number.

    Raises:
        OSError: It is such a fault.
    """
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def wait_of(error: Exception) -> float | None:
    """Return the seconds that the Hub asks to wait for, 0 where it doesn't say; None where waiting doesn't help."""
    return _attempt(error).wait_s


def refusal(what: str, error: Exception) -> HubError:
    """Return a fault in one line: which thing, what was expected and seen, what to do."""
    return _attempt(error).refusal(what)


def _attempt(error: Exception) -> AttemptError:
    """Return what a fault of the client means."""
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
