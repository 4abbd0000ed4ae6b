"""The health of running workers, as their health servers tell: readiness, the boot, and the seconds of frames."""

import asyncio
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from morphstream.artifact.errors import MorphstreamError

TIMEOUT_S = 3.0  # for each answer, all of it
_MOST_BYTES = 1 << 20  # of an answer
_MOST_LETTERS = 300  # of a reason
_OK, _UNAVAILABLE = 200, 503
_SAMPLE = re.compile(r"^morphstream_(\w+?)(?:\{(.*)\})? (\S+)$", re.MULTILINE)  # as prometheus_client writes them
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_USUAL = 0.95  # of all frames


class WorkerError(MorphstreamError):
    """A worker doesn't say how it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """How long the frames of a stream took.

    Attributes:
        stream: Its name, empty for none.
        count: Frames that were swapped.
        mean_s: Of all.
        usual_s: 19 of 20 frames took no longer; infinite where that is longer than is told apart.
    """

    stream: str
    count: int
    mean_s: float
    usual_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a worker is.

    Attributes:
        url: Its address, as it was given.
        unready: Why it isn't ready; empty where it is.
        is_there: Whether it answers.
        boot_s: Seconds of each step of its last boot, by name.
        fallbacks: How often the second best was used, by reason.
        frames: Of each stream that had one.
    """

    url: str
    unready: str
    is_there: bool
    boot_s: Mapping[str, float] = field(default_factory=dict)
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    frames: Sequence[Frames] = ()


async def health_of(url: str, *, timeout_s: float = TIMEOUT_S) -> Health:
    """Ask a worker how it is; one that doesn't answer, or not as a health server, isn't there."""
    try:
        address = _address(url)
        (ready, reason), (status, text) = await asyncio.gather(
            _get(address, "/readyz", timeout_s), _get(address, "/metrics", timeout_s)
        )
        unready = "" if ready == _OK else reason.strip()[:_MOST_LETTERS] or "it gives no reason"
        if ready in (_OK, _UNAVAILABLE) and status == _OK:
            return _read(url, unready, text)
        fault = f"expected a worker's health server, seen answers with {ready} and {status}; see --worker"
    except WorkerError as error:
        fault = str(error)
    return Health(url=url, unready=fault, is_there=False)


def _read(url: str, unready: str, text: str) -> Health:
    """Return the health that metrics tell.

    Raises:
        WorkerError: A number is none.
    """
    boot: dict[str, float] = {}
    fallbacks: dict[str, int] = {}
    streams: dict[str, dict[str, float]] = {}
    try:
        for name, labels, number in _SAMPLE.findall(text):
            value, label = float(number), {key: _unescaped(one) for key, one in _LABEL.findall(labels)}
            if name == "boot_seconds":
                boot[label.get("step", "")] = value
            elif name == "fallbacks_total":
                fallbacks[label.get("reason", "")] = int(value)
            elif name.startswith("frame_seconds_"):
                part = label.get("le", name.removeprefix("frame_seconds_"))
                streams.setdefault(label.get("stream", ""), {})[part] = value
        frames = [_frames(name, parts) for name, parts in streams.items() if parts.get("count")]
    except (ValueError, OverflowError):
        raise WorkerError("expected numbers in /metrics, seen others; is it a worker of this project?") from None
    return Health(url=url, unready=unready, is_there=True, boot_s=boot, fallbacks=fallbacks, frames=frames)


def _frames(stream: str, parts: Mapping[str, float]) -> Frames:
    """Return what a histogram's parts say: ``count``, ``sum``, and the frames up to each bound, by the bound."""
    count = parts["count"]
    bounds = sorted((float(key), value) for key, value in parts.items() if key not in ("count", "sum"))
    usual = next((bound for bound, value in bounds if value >= _USUAL * count), math.inf)
    return Frames(stream=stream, count=int(count), mean_s=parts.get("sum", math.nan) / count, usual_s=usual)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)


def _address(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        is_one = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:
        is_one = False
    if not is_one or address.username is not None or not url.isprintable() or " " in url:
        raise WorkerError("expected an address such as http://127.0.0.1:9300; start the page with another --worker")
    return address


async def _get(address: SplitResult, path: str, timeout_s: float) -> tuple[int, str]:
    """Return the status and the text of an answer.

    Raises:
        WorkerError: There is none in time, it is too large, or none of HTTP.
    """
    is_tls, host = address.scheme == "https", address.hostname or ""
    port = address.port or (443 if is_tls else 80)
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port, ssl=is_tls or None)
            try:
                # HTTP/1.0: the answer ends with the connection, and has no parts.
                head = f"GET {address.path.rstrip('/')}{path} HTTP/1.0\r\nHost: {address.netloc}\r\n\r\n"
                writer.write(head.encode("ascii", "ignore"))
                answer = bytearray()
                while len(answer) <= _MOST_BYTES and (data := await reader.read(1 << 16)):
                    answer += data
            finally:
                writer.close()
    except TimeoutError:
        raise WorkerError(f"expected an answer within {timeout_s:g} s, seen none; is it running?") from None
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, ConnectionError) else None  # for others' words than asyncio's
        seen = os.strerror(number) if number else str(error) or type(error).__name__
        raise WorkerError(f"expected an answer, seen: {seen}; is it running?") from None
    first = re.match(rb"HTTP/1\.[01] (\d{3})\b", answer)
    if first is None or len(answer) > _MOST_BYTES:
        raise WorkerError(f"expected an answer of HTTP of at most {_MOST_BYTES} bytes, seen another; see --worker")
    return int(first[1]), bytes(answer).partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
