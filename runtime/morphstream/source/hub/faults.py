"""What can go wrong with a download of the Hub: which faults may pass, how long to wait, and the words of a refusal."""

import re
import ssl
import threading
import time
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.parse import urlsplit

from morphstream.artifact.errors import AbsentError, FetchError

WAIT_MAX_S = 120.0  # of what the Hub asks for

_MESSAGE_MAX = 200
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOKEN = re.compile(r"[!-~]+")
_SECRETS = re.compile(r"hf_\w{4,}|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S+|(?<=://)[^\s/@]+(?=@)|\?\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Where the Hub is, and how it is asked."""

    endpoint: str
    token: str | None = field(repr=False)
    timeout_s: float
    pauses_s: tuple[float, ...]

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.endpoint)
            is_right = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        except ValueError:
            is_right = False
        if not is_right or parts.username is not None or parts.query or parts.fragment:
            raise ValueError("hub: expected an endpoint as https://host, seen another form; see HF_ENDPOINT")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ValueError("hub: expected a token of visible characters, seen others in it; see HF_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something that is read: its words in a refusal, its commit where that is known, and whether it was given up."""

    hub: Hub
    what: str
    commit: str
    stop: threading.Event = field(default_factory=threading.Event)

    def refusal(self, expected: str, seen: str, remedy: str) -> FetchError:
        """Return a refusal in one line."""
        return FetchError(f"{self.what}: expected {expected}, seen {seen}; {remedy}")

    def lie(self, expected: str, seen: str) -> FetchError:
        """Return the refusal of an answer that can't be true."""
        return self.refusal(expected, _short(seen, self.hub.token), "see HF_ENDPOINT, and what stands before it")


class RefusedError(Exception):
    """An answer of another status than was hoped for."""

    def __init__(self, status: int, headers: Message, *, is_hub: bool) -> None:
        super().__init__(status)
        self.status, self.headers, self.is_hub = status, headers, is_hub


class SlowError(OSError):
    """Some came, and too slowly."""


class UnreachableError(OSError):
    """There is no connection; `reason` is why."""

    def __init__(self, host: str, reason: Exception) -> None:
        super().__init__(f"{host}: {getattr(reason, 'strerror', '') or reason or type(reason).__name__}")
        self.reason = reason


class ProxyError(OSError):
    """A proxy gave no answer of the origin's; `status` is its own, or 0, and `seen` says why."""

    def __init__(self, proxy: object, fault: Exception | int) -> None:
        found = re.match("Tunnel connection failed: ([0-9]{3})", str(fault))  # as http.client words it
        self.status = fault if isinstance(fault, int) else int(found[1]) if found else 0
        said = (fault.strerror or str(fault)) if isinstance(fault, OSError) else ""  # others may repeat an address
        self.seen = str(self.status or said or type(fault).__name__)
        super().__init__(str(proxy))


FAULTS = (OSError, HTTPException, RefusedError)


class Patience:
    """The attempts at one thing: each fault takes a pause, and where none is left is a refusal."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.renew()

    def renew(self) -> None:
        """Begin anew: something came."""
        self._pauses = iter(self._task.hub.pauses_s)

    def wait(self, error: Exception) -> None:
        """Wait as long as makes sense after a fault.

        Raises:
            FetchError: It makes none, or nobody waits for it any more.
        """
        task, wait = self._task, _wait_of(error)
        pause = None if wait is None or wait > WAIT_MAX_S else next(self._pauses, None)
        if task.stop.is_set() or (pause is not None and task.stop.wait(max(pause, wait or 0.0))):
            raise task.refusal("its bytes", "its end", "it was closed")
        if pause is None:
            raise _refusal(task, error) from None


def _wait_of(error: Exception) -> float | None:
    """Return the seconds that an answer asks to wait for, 0 where none does; None where waiting doesn't help."""
    if isinstance(error, RefusedError):
        return _retry_after(error.headers.get("Retry-After", "")) if error.status in (*_PASSING, 200) else None
    if isinstance(error, ProxyError) and error.status:
        return 0.0 if error.status in _PASSING else None
    is_untrusted = isinstance(error, UnreachableError) and isinstance(error.reason, ssl.SSLCertVerificationError)
    return None if is_untrusted else 0.0


def _retry_after(said: str) -> float:
    if re.fullmatch("[0-9]{1,9}", said.strip()):
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _refusal(task: Task, error: Exception) -> FetchError:
    """Return a fault that stayed, in one line."""
    if isinstance(error, RefusedError):
        return _status_refusal(task, error)
    if isinstance(error, ProxyError):
        names = "http_proxy, https_proxy and no_proxy"
        remedy = f"{'name its user and password there' if error.status == 407 else 'ask who runs it'}, see {names}"
        return task.refusal(f"an answer through the proxy {error}", _short(error.seen, task.hub.token), remedy)
    if isinstance(error, TimeoutError | SlowError):
        some = f"only {error}" if isinstance(error, SlowError) else "none"
        remedy = "the Hub or the line is slow, run it again later"
        return task.refusal(f"an answer in {task.hub.timeout_s:g} s", some, remedy)
    said = str(error) if isinstance(error, OSError) else ""  # others may repeat an address
    seen = f"none ({_short(said, task.hub.token) or type(error).__name__})"
    return task.refusal("an answer", seen, "see the network and HF_ENDPOINT")


def _status_refusal(task: Task, error: RefusedError) -> FetchError:
    token, status, headers = task.hub.token, error.status, error.headers
    said = ", ".join(filter(None, (headers.get("X-Error-Code", ""), headers.get("X-Error-Message", ""))))
    seen = f"{status} ({_short(said, token)})" if said else str(status)
    expected, remedy = "its bytes", "see what it says"
    if status in _PASSING:
        expected, remedy = "an answer", "the Hub is busy or down, run it again later"
    elif not error.is_hub:
        remedy = "the store behind the Hub refuses it, run it again later"
    elif "Gated" in headers.get("X-Error-Code", ""):
        expected, remedy = "access to a gated repository", "ask its owner for access, and set HF_TOKEN"
    elif status in (401, 403):
        expected = f"a repository that {'the token in use' if token else 'anybody'} may read"
        remedy = "set HF_TOKEN to one that may, or name another repository"
    elif status == 404:
        what = {"RepoNotFound": "a repository", "RevisionNotFound": "that revision", "EntryNotFound": "that file there"}
        expected = what.get(headers.get("X-Error-Code", ""), "it there")
        remedy = "name one that is there, or set HF_TOKEN if it is private"
    refusal = task.refusal(expected, seen, remedy)
    is_file = headers.get("X-Error-Code", "") in ("EntryNotFound", "")  # and not the whole repository
    return AbsentError(*refusal.args) if error.is_hub and status == 404 and is_file else refusal


def _short(text: str, token: str | None) -> str:
    """Return a text on one line of some length, without tokens and the queries of addresses."""
    text = _SECRETS.sub("***", text.replace(token, "***") if token else text)
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _MESSAGE_MAX else f"{line[: _MESSAGE_MAX - 3]}..."
