"""A request to the Hub, and the checks of its answers."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import DigestMismatchError, FetchError
from morphstream.source.hub.refusals import shortened
from morphstream.source.hub.retry import Retry


class InconsistentAnswerError(FetchError):
    """An answer contradicts itself, or an earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A file or an API answer to read from the Hub.

    Attributes:
        what: Its name in a refusal.
        token: Sent to the Hub alone; None for none.
        timeout_s: In which an answer must begin, and 64 KiB of it come.
        pauses_s: Before each further attempt.
        commit: Hexadecimal commit that the Hub must answer from; empty while unknown.
        digest: Expected digest of the file; None while unknown.
        stop: Set when the request is cancelled.
    """

    what: str
    token: str | None = field(repr=False)
    timeout_s: float
    pauses_s: tuple[float, ...]
    commit: str
    digest: Digest | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def retry(self) -> Retry:
        """Return a count of attempts for one part of the request."""
        return Retry(self.what, self.pauses_s, self.stop)

    def inconsistent_answer(self, expected: str, seen: str) -> InconsistentAnswerError:
        """Return the refusal of an answer that contradicts itself, or an earlier one."""
        seen = shortened(seen, self.token)
        remedy = "see HF_ENDPOINT, and any proxy or mirror in between"
        return InconsistentAnswerError(f"{self.what}: expected {expected}, seen {seen}; {remedy}")

    def check_hub(self, headers: Mapping[str, str]) -> int | None:
        """Check the headers of an answer of the Hub itself; return the size of a large file, else None.

        Raises:
            InconsistentAnswerError: It answers from another commit.
            DigestMismatchError: It has a large file with another digest.
        """
        if self.commit and (seen := headers.get("X-Repo-Commit", self.commit)) != self.commit:
            raise self.inconsistent_answer(f"commit {self.commit}", seen)
        size = re.fullmatch("[0-9]{1,18}", headers.get("X-Linked-Size", ""))
        if size:
            self.check_size(int(size[0]))
        etag = headers.get("X-Linked-Etag", "").strip('"')
        if self.digest and re.fullmatch("[0-9a-f]{64}", etag) and etag != self.digest.sha256:
            raise DigestMismatchError(self.what, f"sha256 {self.digest.sha256} as pinned", etag)
        return int(size[0]) if size else None

    def check_size(self, size: int) -> None:
        """Compare the size that an answer names with the one that is expected.

        Raises:
            DigestMismatchError: They differ.
        """
        if self.digest and self.digest.bytes != size:
            raise DigestMismatchError(self.what, f"{self.digest.bytes} bytes as pinned", f"{size} bytes")
