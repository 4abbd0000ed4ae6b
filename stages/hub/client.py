"""Call the Hub's own client: retries, and refusals in one line without any token.

What is retried, how long to wait and the words of a refusal are the runtime's, as for reading.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import httpx2
from huggingface_hub import get_token, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils._http import hf_request_event_hook
from huggingface_hub.utils.logging import get_verbosity, set_verbosity_error
from huggingface_hub.utils.tqdm import disable_progress_bars

from morphstream.artifact.errors import MorphstreamError
from morphstream.source.hub.attempt import AttemptError
from morphstream.source.hub.refusals import refused
from stages.hub.transport import HubTransport

_FAULTS = (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError, RuntimeError, OSError)  # of the client


class OutrunError(MorphstreamError):
    """Another publisher's commit came first; read the tip and merge again."""


@cache
def prepare_client() -> None:
    """Make the client quiet, and have it ask over our connections, once and before its first use."""
    if get_verbosity() >= logging.WARNING:  # unless the user asked for more
        set_verbosity_error()  # type: ignore[no-untyped-call] # its warnings are more than one line
    if not sys.stderr.isatty():
        disable_progress_bars()
    hooks = {"request": [hf_request_event_hook]}  # which refuses while offline, and numbers requests
    set_client_factory(lambda: httpx2.Client(event_hooks=hooks, follow_redirects=True, transport=HubTransport()))


@contextmanager
def attempt() -> Iterator[None]:
    """Raise an `AttemptError` instead of an exception of the client; those of local files stay as they are."""
    try:
        yield
    except _FAULTS as error:
        raise attempt_error(error) from error


def attempt_error(error: Exception) -> AttemptError:
    """Return the error for an exception of the client; raise that again if a local file caused it."""
    if isinstance(error, AttemptError):
        return error
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):  # of an upload's thread
        return attempt_error(error.__cause__)
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    if isinstance(error, HfHubHTTPError):
        headers = {"X-Error-Code": error.response.headers.get("X-Error-Code", "")}
        headers |= {"X-Error-Message": error.server_message or ""}
        is_write = error.response.request.method not in ("GET", "HEAD")
        return refused(error.response.status_code, headers, has_token=bool(get_token()), is_write=is_write)
    is_final = isinstance(error, PermissionError | FileNotFoundError | OfflineModeIsEnabled)
    is_passing = isinstance(error, OSError | RuntimeError) and not is_final  # OSError: less came than was announced
    notes, wait_s = f"{type(error).__name__}: {error}", 0.0 if is_passing else None
    return AttemptError("an answer of a Hub", "one that can't be read", "see HF_ENDPOINT", notes, wait_s)
