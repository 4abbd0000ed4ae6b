"""A repository of the Hub as a source: archives come in ranges over several connections, in order, in one pass.

Conventions, here and in the modules beside this one:

* A branch is resolved to a commit once; everything is read at that commit.
* A passing fault is retried after a pause, from the byte where the answer was cut. An answer that contradicts itself
  or an earlier one is refused at once. The caller verifies the bytes against their digest.
* A token goes to the endpoint alone; no message has one, nor an address' query, which may be a signature.

Source: RFC 9110 for ranges, redirects and Retry-After; huggingface.co/docs/hub/api for paths and X- headers.
"""

import json
import os
import re
import threading
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import quote

from urllib3.util import parse_url

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import FetchError
from morphstream.source.hub.connection import HubFile
from morphstream.source.hub.ranges import RANGE_BYTES, Download
from morphstream.source.hub.refusals import AttemptError
from morphstream.source.hub.request import Request
from morphstream.source.hub.retry import PAUSES_S
from morphstream.source.source import SMALL_BYTES_MAX

ENDPOINT = "https://huggingface.co"

_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_REVISION = re.compile(r"(?!.*(\.\.|//|[./]$))[A-Za-z0-9_][A-Za-z0-9_./+-]{0,254}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TOKEN = re.compile(r"[!-~]*")


class HubSource:
    """A published layout in a repository of the Hub; threads may share it.

    Attributes:
        is_remote: True; a boot asks it only where it has to.
    """

    is_remote = True

    def __init__(
        self,
        repo: str,
        revision: str = "main",
        *,
        endpoint: str | None = None,
        token: str | None = None,
        connections: int = 4,
        range_bytes: int = RANGE_BYTES,
        timeout_s: float = 30.0,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """Name a repository; nothing is requested yet.

        Args:
            repo: Such as ``organisation/name``.
            revision: A branch, a tag or a commit.
            endpoint: Of the Hub; None for HF_ENDPOINT, else huggingface.co.
            token: None for HF_TOKEN, else the token of `hf auth login`, else none; empty for none.
            connections: Number of connections for a file.
            range_bytes: Size of the range that a request asks for; up to `connections` + 3 are in memory.
            timeout_s: Time in which an answer must begin, and 64 KiB of it come.
            pauses_s: Before each retry; a longer Retry-After counts instead.

        Raises:
            ValueError: One of them has no such form.
            OSError: The file with the token is there, and can't be read.
        """
        _check(repo, revision, connections, range_bytes)
        token = token if token is not None else _token_of_this_machine()
        if not _TOKEN.fullmatch(token):
            raise ValueError("hub: expected a token of visible characters, seen others in it; see HF_TOKEN")
        self._endpoint = _checked_endpoint(endpoint or os.environ.get("HF_ENDPOINT") or ENDPOINT)
        self._repo, self._revision = repo, revision
        self._connections, self._range_bytes = connections, range_bytes
        self._request = partial(Request, token=token or None, timeout_s=timeout_s, pauses_s=tuple(pauses_s))
        self._commit = revision if _COMMIT.fullmatch(revision) else ""
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return f"hub {self._repo}@{self._revision}"

    def read(self, path: str) -> bytes:
        """Return a small file; raises as `Source` says."""
        return self._read(f"{self} {path}", self._url_of(path), self._resolve())

    def open(self, path: str, *, start: int = 0, digest: Digest | None = None) -> BinaryIO:
        """Open a file; raises as `Source` says, and so does reading it.

        Args:
            path: Of the file.
            start: First byte to read.
            digest: Expected digest. The Hub's headers are compared with it before a large file is downloaded, and its
                size with every answer, or assumed where a mirror announces none; the bytes aren't verified.

        Raises:
            DigestMismatchError: The Hub has a file with another digest.
        """
        request = self._request(what=f"{self} {path}", commit=self._resolve(), digest=digest)
        download = Download(
            request, self._url_of(path), connections=self._connections, range_bytes=self._range_bytes, start=start
        )
        try:
            download.begin()
        except BaseException:
            download.close()
            raise
        return cast("BinaryIO", download)

    def _url_of(self, path: str) -> str:
        return f"{self._endpoint}/{self._repo}/resolve/{self._resolve()}/{quote(path)}"

    def _resolve(self) -> str:
        """Return the commit to read at."""
        with self._lock:
            if not self._commit:
                url = f"{self._endpoint}/api/models/{self._repo}/revision/{quote(self._revision, safe='')}"
                try:
                    commit = json.loads(self._read(str(self), url, ""))["sha"]
                except (ValueError, KeyError, TypeError, RecursionError):
                    commit = None
                if not (isinstance(commit, str) and _COMMIT.fullmatch(commit)):
                    raise FetchError(f"{self}: expected its commit, seen an answer without one; see HF_ENDPOINT")
                self._commit = commit
            return self._commit

    def _read(self, what: str, url: str, commit: str) -> bytes:
        request = self._request(what=what, commit=commit)
        retry = request.retry()
        with closing(HubFile(request, url)) as file:
            while True:
                try:
                    return _whole(request, file)
                except AttemptError as error:
                    retry.wait(error)


def _whole(request: Request, file: HubFile) -> bytes:
    """Read a small file, and no more than its bound."""
    response, data = file.ask(), bytearray()
    size, linked = response.length_remaining, file.linked_bytes
    if None not in (linked, size) and linked != size:
        raise request.inconsistent_answer(f"{linked} bytes, as announced before", f"{size}")
    pieces = file.stream(response)
    while (size or len(data)) <= SMALL_BYTES_MAX:
        if not (piece := next(pieces, b"")):
            return bytes(data)
        data += piece
    raise request.inconsistent_answer(f"{SMALL_BYTES_MAX} bytes at most", "more")


def _check(repo: str, revision: str, connections: int, range_bytes: int) -> None:
    if not _REPO.fullmatch(repo):
        raise ValueError(f"hub: expected a repository as organisation/name, seen {repo!r}")
    if not _REVISION.fullmatch(revision):
        raise ValueError(f"hub {repo}: expected a branch, a tag or a commit, seen {revision!r}")
    if connections < 1 or range_bytes < 1:
        seen = f"{connections} and {range_bytes}"
        raise ValueError(f"hub {repo}: expected 1 connection and 1 byte of a range or more, seen {seen}")


def _checked_endpoint(text: str) -> str:
    """Return an endpoint without a slash at its end.

    Raises:
        ValueError: It is none.
    """
    try:
        url = parse_url(text)
    except ValueError:
        url = parse_url("")
    if url.scheme not in ("http", "https") or not url.host or url.auth or url.query or url.fragment:
        raise ValueError("hub: expected an endpoint as https://host, seen another form; see HF_ENDPOINT")
    return text.rstrip("/")


def _token_of_this_machine() -> str:
    """Return the token of the environment, else that of `hf auth login`; empty for none.

    Raises:
        OSError: It is there, and can't be read.
    """
    if token := os.environ.get("HF_TOKEN", "").strip():
        return token
    try:
        home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
        return (home / "token").read_text("utf-8", "replace").strip()
    except (FileNotFoundError, NotADirectoryError, RuntimeError):  # no login, or no home folder
        return ""
    except OSError as error:
        seen = f"{error.strerror} of {error.filename}; set HF_TOKEN, or HF_HOME to another folder"
        raise OSError(error.errno, f"hub: expected a token, or none, seen {seen}") from error
