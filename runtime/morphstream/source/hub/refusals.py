"""Errors of one attempt to ask the Hub: whether to retry, and the words of the refusal."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from urllib3.exceptions import IncompleteRead, InvalidHeader, ReadTimeoutError
from urllib3.util import Retry

from morphstream.artifact.errors import AbsentError, FetchError

_MESSAGE_MAX = 200
_MISSING = {
    "RepoNotFound": "a repository",
    "RevisionNotFound": "the revision",
    "EntryNotFound": "the file at that revision",
}
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_SECRETS = re.compile(r"hf_\w{4,}|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S+|(?<=://)[^\s/@]+(?=@)|(?<=\?)\S+")


@dataclass(slots=True, eq=False)
class AttemptError(Exception):
    """One attempt failed.

    Attributes:
        expected: What was asked for, in words without secrets.
        seen: What came instead.
        remedy: What to do if it stays so.
        wait_s: Least seconds before a retry; None where a retry can't help.
        status: HTTP status of the answer; 0 where none came.
        is_absent: Whether the Hub answers that it has no such file.
    """

    expected: str
    seen: str
    remedy: str
    wait_s: float | None = 0.0
    status: int = 0
    is_absent: bool = False

    def refusal(self, what: str) -> FetchError:
        """Return the refusal of a thing that was asked for, in one line."""
        kind = AbsentError if self.is_absent else FetchError
        return kind(f"{what}: expected {self.expected}, seen {self.seen}; {self.remedy}")


def refused(
    status: int, headers: Mapping[str, str], token: str | None, *, is_hub: bool = True, is_write: bool = False
) -> AttemptError:
    """Return the error for an answer with another status than 200 or 206.

    Args:
        status: Of the answer.
        headers: Of the answer; X-Error-Code, X-Error-Message and Retry-After are read.
        token: The token in use, which no message repeats.
        is_hub: Whether the Hub itself answered, and not the store of large files that it redirects to.
        is_write: Whether the request was to change something.
    """
    code = headers.get("X-Error-Code", "")
    expected, remedy = "the Hub to accept it" if is_write else "its bytes", "read its message"
    if status in _PASSING:
        expected, remedy = "an answer", "the Hub is busy or down, run it again later"
    elif not is_hub:
        remedy = "the store behind the Hub refuses it, run it again later"
    elif "Gated" in code:
        expected, remedy = "access to a gated repository", "ask its owner for access, and set HF_TOKEN"
    elif status == 403 and is_write:
        expected, remedy = "a token with that right", "use one with write access"
    elif status in (401, 403):
        expected = f"a repository that {'the token in use' if token else 'anybody'} may see"
        remedy = "name another one, or a token that may, by HF_TOKEN or `hf auth login`"
    elif status == 404:
        expected, remedy = _MISSING.get(code, "it there"), "name one that is there, or set HF_TOKEN if it is private"
    notes = shortened(", ".join(filter(None, (code, headers.get("X-Error-Message", "")))), token)
    seen = f"{status} ({notes})" if notes else str(status)
    wait_s = _retry_after_s(headers.get("Retry-After", "")) if status in _PASSING else None
    is_absent = is_hub and status == 404 and code in ("EntryNotFound", "")  # and not the whole repository
    return AttemptError(expected, seen, remedy, wait_s, status, is_absent)


def refused_by_proxy(proxy: str, fault: Exception | int, token: str | None) -> AttemptError:
    """Return the error for a proxy that can't be reached, or that refuses by a status."""
    reason = str(fault) if isinstance(fault, int) else _reason(fault)
    found = re.fullmatch("(?:Tunnel connection failed: )?([0-9]{3})(?: .*)?", reason)  # as http.client words it
    status = int(found[1]) if found else 0
    remedy = f"{'name its user and password there' if status == 407 else 'ask who runs it'}, see http_proxy"
    return AttemptError(
        f"an answer through the proxy {proxy}",
        str(status) if status else shortened(reason, token),
        f"{remedy}, https_proxy and no_proxy",
        0.0 if not status or status in _PASSING else None,
    )


def faulty(error: Exception, token: str | None, timeout_s: float, host: str = "") -> AttemptError:
    """Return the error for an exception of urllib3."""
    if isinstance(error, ReadTimeoutError):
        return too_slow("none", timeout_s)
    return unanswered(f"{host}: {_reason(error)}" if host else _reason(error), token)


def unanswered(reason: str, token: str | None) -> AttemptError:
    """Return the error for an answer that didn't come, or ended too early."""
    seen = f"none ({shortened(reason, token)})"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return AttemptError("an answer", seen, "set SSL_CERT_FILE to a file with its issuer's certificate", None)
    return AttemptError("an answer", seen, "see the network and HF_ENDPOINT")


def too_slow(seen: str, timeout_s: float) -> AttemptError:
    """Return the error for an answer that comes too slowly."""
    return AttemptError(f"an answer in {timeout_s:g} s", seen, "the Hub or the network is slow, run it again later")


def shortened(text: str, token: str | None) -> str:
    """Return a text on one line of a bounded length, without tokens, passwords, and queries of addresses.

    A query may be a signature.
    """
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


def _retry_after_s(text: str) -> float:
    try:
        return float(Retry().parse_retry_after(text))
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0
