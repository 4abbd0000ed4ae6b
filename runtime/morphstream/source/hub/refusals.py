"""Failed attempts to ask the Hub: when to make another, and the words of the refusal."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from urllib3 import util
from urllib3.exceptions import IncompleteRead, InvalidHeader, ReadTimeoutError

from morphstream.artifact.errors import AbsentError, FetchError

PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # before each retry
WAIT_MAX_S = 120.0  # longest Retry-After that is waited for

_MESSAGE_MAX = 200
_MISSING = {
    "RepoNotFound": "a repository",
    "RevisionNotFound": "the revision",
    "EntryNotFound": "the file at that revision",
}
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_SECRETS = re.compile(r"hf_\w{4,}|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S+|(?<=://)[^\s/@]+(?=@)|(?<=\?)\S+")

_T = TypeVar("_T")


class InconsistentAnswerError(FetchError):
    """An answer contradicts itself, or an earlier one."""


@dataclass(slots=True, eq=False)
class AttemptError(Exception):
    """One attempt failed.

    Attributes:
        notes: What the other side said of it; may hold secrets.
        wait_s: Least seconds before a retry; None where a retry can't help.
        status: HTTP status of the answer; 0 where none came.
        kind: Class of the refusal.
    """

    expected: str
    seen: str
    remedy: str
    notes: str = ""
    wait_s: float | None = 0.0
    status: int = 0
    kind: type[FetchError] = FetchError


@dataclass(kw_only=True, eq=False)
class Retry:
    """Attempts at one request: each error uses up a pause; when none remains, the request is refused.

    Attributes:
        what: Name of the request in a refusal.
        pauses_s: Before each retry; a longer Retry-After counts instead.
        token: The token in use, which no refusal repeats.
        stop: Set when the request is cancelled.
    """

    what: str
    pauses_s: Sequence[float]
    token: str | None = field(repr=False)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._remaining_s = iter(self.pauses_s)

    def call(self, attempt: Callable[[], _T]) -> _T:
        """Return the result of the first attempt that succeeds."""
        while True:
            try:
                return attempt()
            except AttemptError as error:
                self.wait(error)

    def wait(self, error: AttemptError) -> None:
        """Pause before a retry; raise the refusal where none helps or remains, or the request was cancelled."""
        is_paused = self.pause(error.wait_s)
        if self.stop.is_set():
            error = AttemptError("its bytes", "its end", "it was closed")
        elif is_paused:
            return
        notes = f" ({shortened(error.notes, self.token)})" if error.notes else ""
        seen = f"{shortened(error.seen, self.token)}{notes}"
        raise error.kind(f"{self.what}: expected {error.expected}, seen {seen}; {error.remedy}") from None

    def pause(self, wait_s: float | None = 0.0) -> bool:
        """Wait before a retry, `wait_s` at least; return whether there is one, and it may help."""
        if wait_s is None or wait_s > WAIT_MAX_S or (pause_s := next(self._remaining_s, None)) is None:
            return False
        return not self.stop.wait(max(pause_s, wait_s))


def refused(
    status: int, headers: Mapping[str, str], *, has_token: bool, is_hub: bool = True, is_write: bool = False
) -> AttemptError:
    """Return the error for an answer with another status than 200 or 206.

    It is the Hub's own (`is_hub`), or of the store of large files that the Hub redirects to.
    """
    code = headers.get("X-Error-Code", "")
    expected, remedy = "the Hub to accept it" if is_write else "its bytes", "read its message"
    wait_s = None
    if status in _PASSING:
        expected, remedy, wait_s = "an answer", "the Hub is busy or down, run it again later", 0.0
        with suppress(InvalidHeader, ValueError, OverflowError):
            wait_s = util.Retry().parse_retry_after(headers.get("Retry-After", ""))
    elif not is_hub:
        remedy = "the store behind the Hub refuses it, run it again later"
    elif "Gated" in code:
        expected, remedy = "access to a gated repository", "ask its owner for access, and set HF_TOKEN"
    elif status == 403 and is_write:
        expected, remedy = "a token with that right", "use one with write access"
    elif status in (401, 403):
        expected = f"a repository that {'the token in use' if has_token else 'anybody'} may see"
        remedy = "name another one, or a token that may, by HF_TOKEN or `hf auth login`"
    elif status == 404:
        expected, remedy = _MISSING.get(code, "it there"), "name one that is there, or set HF_TOKEN if it is private"
    notes = ", ".join(filter(None, (code, headers.get("X-Error-Message", ""))))
    is_absent = is_hub and status == 404 and code in ("EntryNotFound", "")  # and not the whole repository
    return AttemptError(expected, str(status), remedy, notes, wait_s, status, AbsentError if is_absent else FetchError)


def refused_by_proxy(proxy: str, fault: Exception | int) -> AttemptError:
    """Return the error for a proxy that can't be reached, or that refuses by a status."""
    reason = str(fault) if isinstance(fault, int) else _reason(fault)
    found = re.fullmatch("(?:Tunnel connection failed: )?([0-9]{3})(?: .*)?", reason)  # as http.client words it
    status = int(found[1]) if found else 0
    remedy = "name its user and password there" if status == 407 else "ask who runs it"
    remedy, wait_s = (
        f"{remedy}, see http_proxy, https_proxy and no_proxy",
        None if status not in {0, *_PASSING} else 0.0,
    )
    return AttemptError(f"an answer through the proxy {proxy}", str(status or reason), remedy, wait_s=wait_s)


def faulty(error: Exception, timeout_s: float, host: str = "") -> AttemptError:
    """Return the error for an exception of urllib3."""
    if isinstance(error, ReadTimeoutError):
        return too_slow("none", timeout_s)
    return unanswered(f"{host}: {_reason(error)}" if host else _reason(error))


def unanswered(reason: str) -> AttemptError:
    """Return the error for an answer that didn't come, or ended too early."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        remedy = "set SSL_CERT_FILE to a file with its issuer's certificate"
        return AttemptError("an answer", "none", remedy, reason, wait_s=None)
    return AttemptError("an answer", "none", "see the network and HF_ENDPOINT", reason)


def too_slow(seen: str, timeout_s: float) -> AttemptError:
    """Return the error for an answer that comes too slowly."""
    return AttemptError(f"an answer in {timeout_s:g} s", seen, "the Hub or the network is slow, run it again later")


def inconsistent(expected: str, seen: str) -> AttemptError:
    """Return the error for an answer that contradicts itself, or an earlier one."""
    remedy = "see HF_ENDPOINT, and any proxy or mirror in between"
    return AttemptError(expected, seen, remedy, wait_s=None, kind=InconsistentAnswerError)


def shortened(text: str, token: str | None) -> str:
    """Return a text on one line of a bounded length, without tokens, passwords and queries (as of signed addresses)."""
    text = _SECRETS.sub("***", text.replace(token, "***") if token else text)
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _MESSAGE_MAX else f"{line[: _MESSAGE_MAX - 3]}..."


def _reason(error: Exception) -> str:
    """Return the reason of the innermost exception, whose message repeats no address."""
    if inner := error.__cause__ or next((each for each in error.args if isinstance(each, Exception)), None):
        return _reason(inner) if isinstance(inner, Exception) else ""
    if isinstance(error, IncompleteRead):
        return f"the connection ended, with {error.expected} bytes to come"
    return (error.strerror or str(error) if isinstance(error, OSError) else "") or type(error).__name__
