"""A repository of the Hub as a source: archives come in ranges over several connections, in order, in one pass.

Conventions, here and in the modules beside this one:

* A branch is resolved to a commit once; everything is read at that commit.
* A passing fault is retried after a pause, from the byte where the answer was cut; what comes too slowly, once, and
  within the same time. An answer that contradicts itself or an earlier one is refused at once. The caller verifies the
  bytes against their digest.
* A token goes to the endpoint alone; no message has one, nor an address' query, which may be a signature.

Source: RFC 9110 for ranges, redirects and Retry-After; huggingface.co/docs/hub/api for paths and X- headers.
"""

import json
import os
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import quote

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import FetchError
from morphstream.artifact.regular_file import read_regular
from morphstream.source.hub.connections import parsed
from morphstream.source.hub.file import HubFile
from morphstream.source.hub.ranges import RANGE_BYTES, Download
from morphstream.source.hub.refusals import PAUSES_S, TIMEOUT_S

ENDPOINT = "https://huggingface.co"

_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_REVISION = re.compile(r"(?!.*(\.\.|//|[./]$))[A-Za-z0-9_][A-Za-z0-9_./+-]{0,254}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TOKEN = re.compile(r"[!-~]*")
_TOKEN_BYTES_MAX = 1 << 16


class HubSource:
    """A published layout in a repository of the Hub; threads may share it."""

    is_remote = True  # a boot asks it only where it has to

    def __init__(
        self,
        repo: str,
        revision: str = "main",
        *,
        endpoint: str | None = None,
        token: str | None = None,
        connections: int = 4,
        range_bytes: int = RANGE_BYTES,
        timeout_s: float = TIMEOUT_S,
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
            timeout_s: How long the Hub is waited for in all while nothing comes, or less than 32 KiB in half of it.
            pauses_s: Before each retry, which count, too; unless the Hub asks for another, which doesn't.

        Raises:
            ValueError: One of them has no such form.
            OSError: The file with the token is there, and can't be read.
        """
        self._endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
        token = token if token is not None else _token_of_this_machine()
        _check(repo, revision, self._endpoint, token, connections, range_bytes)
        self._repo, self._revision, self._range_bytes = repo, revision, range_bytes
        self._file = partial(HubFile, token=token or None, pauses_s=pauses_s, timeout_s=timeout_s, count=connections)
        self._commit = revision if _COMMIT.fullmatch(revision) else ""
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return f"hub {self._repo}@{self._revision}"

    def read(self, path: str) -> bytes:
        """Return a small file; raises as `Source` says."""
        return self._file_at(path).read()

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
        return cast("BinaryIO", Download(self._file_at(path, digest), range_bytes=self._range_bytes, start=start))

    def _file_at(self, path: str, digest: Digest | None = None) -> HubFile:
        commit = self._resolve()
        address = f"{self._endpoint}/{self._repo}/resolve/{commit}/{quote(path)}"
        return self._file(what=f"{self} {path}", address=address, commit=commit, digest=digest)

    def _resolve(self) -> str:
        """Return the commit to read at."""
        with self._lock:
            if not self._commit:
                api, commit = f"/api/models/{self._repo}/revision/{quote(self._revision, safe='')}", ""
                file = self._file(what=str(self), address=f"{self._endpoint}{api}", api=api)
                with suppress(ValueError, KeyError, TypeError, RecursionError):
                    commit = str(json.loads(file.read())["sha"])
                if not _COMMIT.fullmatch(commit):
                    seen = f"an answer without one{file.where()}"
                    raise FetchError(f"{self}: expected its commit, seen {seen}; see HF_ENDPOINT")
                self._commit = commit
            return self._commit


def _check(repo: str, revision: str, endpoint: str, token: str, connections: int, range_bytes: int) -> None:
    url = parsed(endpoint)
    is_endpoint = url.scheme in ("http", "https") and url.host and not (url.auth or url.query or url.fragment)
    for is_right, expected, seen in (
        (_REPO.fullmatch(repo), "a repository as organisation/name", f"{repo!r}"),
        (_REVISION.fullmatch(revision), "a branch, a tag or a commit", f"{revision!r}"),
        (is_endpoint, "an endpoint as https://host", "another form; see HF_ENDPOINT"),
        (_TOKEN.fullmatch(token), "a token of visible characters", "others in it; see HF_TOKEN, or `hf auth login`"),
        (connections > 0, "1 connection or more", f"{connections}"),
        (range_bytes > 0, "1 byte of a range or more", f"{range_bytes}"),
    ):
        if not is_right:
            raise ValueError(f"hub {repo}: expected {expected}, seen {seen}")


def _token_of_this_machine() -> str:
    """Return the token of the environment, else that of `hf auth login`; empty for none."""
    if token := os.environ.get("HF_TOKEN", "").strip():
        return token
    try:
        home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
        return read_regular(home / "token", _TOKEN_BYTES_MAX).decode("utf-8", "replace").strip()
    except (FileNotFoundError, NotADirectoryError, RuntimeError):  # no login, or no home folder
        return ""
    except OSError as error:
        seen = f"{error.strerror} of {error.filename}; set HF_TOKEN, or HF_HOME to another folder"
        raise OSError(error.errno, f"hub: expected a token, or none, seen {seen}") from error
