"""Ask a health server whether its process is ready, as a container's health check does."""

from contextlib import closing
from http.client import HTTPConnection, HTTPException

from morphstream.artifact.errors import MorphstreamError

_MOST_BYTES = 1024  # of a reason


class NotReadyError(MorphstreamError):
    """A process isn't ready, or nothing answers for it."""


def probe(host: str, port: int, *, timeout_s: float = 3.0) -> None:
    """Return when a process is ready, whose health server gets `timeout_s` to connect and for each read.

    Raises:
        NotReadyError: It isn't, and why; or nothing answers.
    """
    try:
        with closing(HTTPConnection(host, port, timeout=timeout_s)) as connection:
            connection.request("GET", "/readyz")
            with connection.getresponse() as response:
                status, text = response.status, response.read(_MOST_BYTES).decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        seen = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NotReadyError(f"{url_of(host, port)}/readyz: expected an answer, seen {seen}") from None
    if status != 200:
        raise NotReadyError(f"{url_of(host, port)}/readyz: expected 200, seen {status}: {text}")


def url_of(host: str, port: int) -> str:
    """Return the address of a server."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
