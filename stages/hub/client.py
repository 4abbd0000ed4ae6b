"""Ask the Hub, wait where that helps, and say in one line what it refused, without a word of any token."""

import email.utils
import logging
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import httpx2
from huggingface_hub import constants, get_session, get_token, set_client_factory
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)
from huggingface_hub.utils.logging import get_verbosity, set_verbosity_error
from huggingface_hub.utils.tqdm import disable_progress_bars

from morphstream.artifact.digest import CHUNK_BYTES
from morphstream.artifact.errors import MorphstreamError

PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # before each further attempt
WAIT_MAX_S = 120.0  # of what the Hub asks for
_ANSWER_TIMEOUT_S = 120.0  # a large commit takes the Hub a minute
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_MESSAGE_MAX = 200
_TOKEN = re.compile(r"hf_\w{4,}|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S+")
_QUERY = re.compile(r"(https?://[^\s?]+)\?[^\s'\"]+")  # signatures of redirects

_T = TypeVar("_T")

FAULTS = (httpx2.HTTPError, ValueError, KeyError, TypeError, RuntimeError, OSError)  # of the client; see `check_hub_s`


class HubError(MorphstreamError):
    """The Hub can't be reached, or refuses what it was asked for."""


class OutrunError(MorphstreamError):
    """Another publisher's commit came first; read the tip and merge again."""


def prepare_client() -> None:
    """Make the client quiet, and never wait for ever; to be called once, before it is used."""
    if get_verbosity() >= logging.WARNING:  # nobody asked for more
        set_verbosity_error()  # type: ignore[no-untyped-call] # its warnings are more than one line
    if sys.stderr.isatty():
        disable_progress_bars("huggingface_hub.http_get")  # ours counts all downloads together
    else:
        disable_progress_bars()
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES  # what a cut loses; the client's own is ten times that
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
    for pause in pauses_s:
        try:
            return call()
        except FAULTS as error:
            check_hub_s(error)
            wait = wait_of(error)
            if wait is None or wait > WAIT_MAX_S:
                raise refusal(what, error) from None
            time.sleep(max(pause, wait))
    try:
        return call()
    except FAULTS as error:
        check_hub_s(error)
        raise refusal(what, error) from None


def check_hub_s(error: Exception) -> None:
    """Raise a fault again that isn't the Hub's, but a local file's: an `OSError` with a number.

    Raises:
        OSError: It is such a fault.
    """
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def wait_of(error: Exception) -> float | None:
    """Return the seconds that the Hub asks to wait for, 0 where it doesn't say; None where waiting doesn't help."""
    if isinstance(error, RuntimeError):  # an upload's in a thread, or of a client that another thread has closed
        return wait_of(error.__cause__) if isinstance(error.__cause__, Exception) else 0.0
    if isinstance(error, HfHubHTTPError):
        return _retry_after(error) if error.response.status_code in _PASSING else None
    if isinstance(error, PermissionError | FileNotFoundError | OfflineModeIsEnabled):
        return None
    return 0.0 if isinstance(error, httpx2.TransportError | OSError) else None  # OSError: less came than was said


def refusal(what: str, error: Exception) -> HubError:
    """Return a fault in one line: which thing, what was expected and seen, what to do."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    if isinstance(error, HfHubHTTPError):
        expected, remedy = _expected(error)
        said = f" ({_short(error.server_message)})" if error.server_message else ""
        return HubError(f"{what}: expected {expected}, seen {error.response.status_code}{said}; {remedy}")
    if isinstance(error, httpx2.HTTPError):
        reason = _short(str(error)) or type(error).__name__
        return HubError(f"{what}: expected an answer, seen none ({reason}); see the network and HF_ENDPOINT")
    seen = f"one that can't be read ({type(error).__name__}: {_short(str(error))})"
    return HubError(f"{what}: expected an answer of a Hub, seen {seen}; see HF_ENDPOINT")


def redacted(text: str) -> str:
    """Return a text without tokens, and without the queries of addresses, which may be signatures."""
    token = get_token()
    text = text.replace(token, "***") if token else text
    return _QUERY.sub(r"\1", _TOKEN.sub("***", text))


def _short(text: str) -> str:
    line = " ".join(redacted(text).split())
    return line if len(line) <= _MESSAGE_MAX else f"{line[: _MESSAGE_MAX - 3]}..."


def _expected(error: HfHubHTTPError) -> tuple[str, str]:
    status = error.response.status_code
    if isinstance(error, RevisionNotFoundError):
        return "the revision", "pin one that is there"
    if isinstance(error, EntryNotFoundError):
        return "the file at that revision", "pin a revision that has it"
    if isinstance(error, GatedRepoError):
        return "access to a gated repository", "ask its owner for access"
    if status in (401, 404):  # the Hub hides what a token may not see
        seeing = "the token in use" if get_token() else "anybody"
        return f"a repository that {seeing} may see", "see hub.repo in params.yaml, and HF_TOKEN or `hf auth login`"
    if status == 403:
        return "a token with that right", "use one with write access to publish, with read access to fetch"
    if status in _PASSING:
        return "an answer", "the Hub is busy or down; run it again later, what was done stays done"
    return "the Hub to accept it", "see what it says"


def _retry_after(error: HfHubHTTPError) -> float:
    said = error.response.headers.get("Retry-After", "").strip()
    if said.isdigit():
        return float(said)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return 0.0
