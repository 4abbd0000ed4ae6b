"""Failed attempts to ask the Hub: when to make another, and the words of the refusal."""

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from urllib3 import util
from urllib3.exceptions import ConnectTimeoutError, IncompleteRead, InvalidHeader, NewConnectionError, ReadTimeoutError

from morphstream.artifact.errors import AbsentError, FetchError
from morphstream.source.hub.attempt import AttemptError, Clock
from morphstream.source.progress import show_line

PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # before each retry
TIMEOUT_S = 30.0
WAIT_MAX_S = 300.0  # waited in all because the Hub asks for it: as long as it counts requests for its limits

_LONG_S = 10.0  # a wait that is told each time; a shorter one once
_MESSAGE_MAX = 200
_MISSING = {
    "RepoNotFound": "a repository",
    "RevisionNotFound": "the revision",
    "EntryNotFound": "the file at that revision",
}
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LIMITED = 429
_LACKING = frozenset({404, 405, 501})
_SECRETS = re.compile(r"hf_\w{4,}|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S+|(?<=://)[^\s/@]+(?=@)|(?<=\?)\S+")

_T = TypeVar("_T")
_log = logging.getLogger("morphstream.hub")


class InconsistentAnswerError(FetchError):
    """An answer contradicts itself, or an earlier one."""


@dataclass(kw_only=True, eq=False)
class Retry:
    """Attempts at one request: each error uses up a pause and time; when none remains, the request is refused.

    Attributes:
        what: Name of the request in a refusal.
        pauses_s: Before each retry, unless the other side asks for another.
        timeout_s: How long is waited for the other side in all, with these pauses; time in which enough comes is none.
        token: The token in use, which no refusal repeats.
        stop: Set when the request is cancelled.
        where: Returns words for who answered, where that is somebody else than was asked.
    """

    what: str
    pauses_s: Sequence[float]
    timeout_s: float
    token: str | None = field(repr=False)
    stop: threading.Event = field(default_factory=threading.Event)
    where: Callable[[], str] = str

    def __post_init__(self) -> None:
        self._left_s, self._may_ask_s = self.timeout_s, WAIT_MAX_S
        self._remaining_s = iter(self.pauses_s)

    def renew(self) -> None:
        """Count attempts anew, as there was progress: the next is at once. Time that was lost stays lost."""
        self._remaining_s = iter(self.pauses_s and (0.0, *self.pauses_s[1:]))

    def clock(self) -> Clock:
        """Return the clock of the next attempt, which may wait half of the time: a dead connection gets a second."""
        return Clock(min(self.timeout_s / 2, self._left_s), self.timeout_s)

    def call(self, attempt: Callable[[], _T]) -> _T:
        """Return the result of the first attempt that succeeds."""
        while True:
            try:
                return attempt()
            except AttemptError as error:
                self.wait(error)

    def wait(self, error: AttemptError) -> None:
        """Pause before a retry; raise the refusal where none helps or remains, or the request was cancelled."""
        self._left_s -= error.waited_s
        seen = shortened(f"{error.seen}{self.where()}", self.token)
        is_paused = (
            self._grant(error.wait_s, seen) if error.wait_s else error.wait_s is not None and self.pause(error.waited_s)
        )
        if self.stop.is_set():
            raise FetchError(f"{self.what}: expected its bytes, seen its end; it was closed") from None
        if not is_paused:
            notes = f" ({shortened(error.notes, self.token)})" if error.notes else ""
            raise error.kind(f"{self.what}: expected {error.expected}, seen {seen}{notes}; {error.remedy}") from None

    def pause(self, waited_s: float = 0.0) -> bool:
        """Pause before a retry, less what was waited already; return whether there is one."""
        if (pause_s := next(self._remaining_s, None)) is None or self._left_s <= 0:
            return False
        pause_s = max(min(pause_s, self._left_s / 2) - waited_s, 0.0)  # so that time for an attempt remains
        self._left_s -= pause_s
        return not self.stop.wait(pause_s)

    def _grant(self, wait_s: float, seen: str) -> bool:
        """Wait as long as the other side asks for, and say so, if that isn't too long; return whether."""
        if wait_s > self._may_ask_s:
            return False
        if self._may_ask_s == WAIT_MAX_S or wait_s >= _LONG_S:
            show_line("")  # or it would follow a line of progress
            _log.warning("%s: seen %s, waiting %.0f s as it asks", self.what, seen, wait_s)
        self._may_ask_s -= wait_s
        return not self.stop.wait(wait_s)


def refused(
    status: int,
    headers: Mapping[str, str],
    *,
    has_token: bool,
    is_hub: bool = True,
    is_write: bool = False,
    api: str = "",
) -> AttemptError:
    """Return the error for an answer with another status than 200 or 206; the arguments are those of `unserved`."""
    if error := unserved(status, headers, is_hub=is_hub, is_write=is_write, api=api):
        return error
    code = headers.get("X-Error-Code", "")
    expected, remedy = "the Hub to accept it" if is_write else "its bytes", "read its message"
    if "Gated" in code:
        expected, remedy = "access to a gated repository", "ask its owner for access, and set HF_TOKEN"
    elif status == 403 and is_write:
        expected, remedy = "a token with that right", "use one with write access"
    elif status in (401, 403):
        expected = f"a repository that {'the token in use' if has_token else 'anybody'} may see"
        remedy = "name another one, or a token that may, by HF_TOKEN or `hf auth login`"
    elif status == 404:
        expected, remedy = _MISSING.get(code, "it there"), "name one that is there, or set HF_TOKEN if it is private"
    kind = AbsentError if status == 404 and code in ("EntryNotFound", "") else FetchError  # and not the repository
    return AttemptError(expected, str(status), remedy, _notes(headers), None, status, kind)


def unserved(status: int, headers: Mapping[str, str], *, is_hub: bool, is_write: bool, api: str) -> AttemptError | None:
    """Return the error for a status that isn't the Hub's word about what was asked; None where it is.

    Args:
        status: Of the answer.
        headers: Of the answer.
        is_hub: It is the Hub's own, and not of the store of large files, or another hub, that the Hub redirects to.
        is_write: More was asked than to read.
        api: The part of the Hub's API that was asked, if any.
    """
    expected, wait_s = "the Hub to accept it" if is_write else "its bytes", None
    if status in _PASSING:
        expected, wait_s = "an answer", _asked_s(status, headers)
        remedy = "the Hub is busy or down, run it again later"
        remedy = f"it asks to wait {wait_s:.0f} s, run it again then" if wait_s else remedy
    elif not is_hub:
        remedy = "the store behind the Hub refuses it, run it again later"
        if status in (401, 403, 404):
            remedy = f"it is sent no token, name it as HF_ENDPOINT if it may have yours; or {remedy}"
    elif api and status in _LACKING and not headers.get("X-Error-Code"):
        expected, remedy = f"the Hub's {api}", "see HF_ENDPOINT, whose server lacks it"
        remedy += ", or the repository" if "/models/" in api else ""
    else:
        return None
    return AttemptError(expected, str(status), remedy, _notes(headers), wait_s, status)


def _notes(headers: Mapping[str, str]) -> str:
    """Return what the Hub says of a refusal."""
    return ", ".join(filter(None, (headers.get("X-Error-Code"), headers.get("X-Error-Message"))))


def _asked_s(status: int, headers: Mapping[str, str]) -> float:
    """Return how many seconds an answer asks to wait; 0 where it doesn't.

    Source: RFC 9110 for Retry-After; draft-ietf-httpapi-ratelimit-headers for RateLimit, whose older form has `reset`.
    """
    asked_s = [0.0]
    with suppress(InvalidHeader, ValueError, OverflowError):
        asked_s.append(util.Retry().parse_retry_after(headers.get("Retry-After", "")))
    limits = headers.get("RateLimit", "") if status == _LIMITED else ""  # other answers have it, too
    for limit in limits.split('"')[::2] if '"' in limits else [limits]:
        if re.search(r"\b(?:r|remaining)=0*[1-9]", text := re.sub(r"\s", "", limit)):
            continue  # it isn't this limit that was reached
        asked_s += [float(found[1]) for found in re.finditer(r"\b(?:t|reset)=([0-9]{1,9})\b", text)]
    return max(asked_s)


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


def faulty(error: Exception, timeout_s: float, *, host: str = "", came: int = 0) -> AttemptError:
    """Return the error for an exception of urllib3, before which some bytes came in time."""
    if isinstance(error, ReadTimeoutError | ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        remedy = "the Hub or the network is slow, run it again later"
        seen = f"only {came} bytes" if came else "none"
        return AttemptError(f"an answer in {timeout_s:g} s", seen, remedy)
    return unanswered(f"{host}: {_reason(error)}" if host else _reason(error))


def unanswered(reason: str) -> AttemptError:
    """Return the error for an answer that didn't come, or ended too early."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return _untrusted(reason)
    return AttemptError("an answer", "none", "see the network and HF_ENDPOINT", reason)


def _untrusted(reason: str) -> AttemptError:
    """Return the error for a certificate that isn't trusted, for a reason in OpenSSL's words."""
    remedy = "set SSL_CERT_FILE or REQUESTS_CA_BUNDLE to a file with its issuer's certificate"
    if "not yet valid" in reason or "has expired" in reason:
        clock = f"this machine's clock, which says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        remedy = f"correct {clock}, or have the certificate renewed"
    elif "mismatch" in reason:
        remedy = "name the host that it is for, see HF_ENDPOINT"
    return AttemptError("a certificate to trust", "none", remedy, reason, wait_s=None)


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
