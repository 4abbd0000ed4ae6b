"""A request to the Hub: for what, by whom, for how long, and what each answer must agree with."""

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
    """Something that is read of the Hub.

    Attributes:
        what: Its name in a refusal.
        token: Sent to the Hub alone; None for none.
        timeout_s: In which an answer must begin, and 64 KiB of it come.
        pauses_s: Before each further attempt.
        commit: 40 digits that the Hub must answer from; empty where that isn't known yet.
        digest: That its bytes should have; None where it isn't known.
        stop: Set when nobody waits for it any more.
    """

    what: str
    token: str | None = field(repr=False)
    timeout_s: float
    pauses_s: tuple[float, ...]
    commit: str
    digest: Digest | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def retry(self) -> Retry:
        """Return attempts that haven't begun."""
        return Retry(self.what, self.pauses_s, self.stop)

    def inconsistent_answer(self, expected: str, seen: str) -> InconsistentAnswerError:
        """Return the refusal of an answer that contradicts itself, or an earlier one."""
        seen = shortened(seen, self.token)
        remedy = "see HF_ENDPOINT, and what stands before it"
        return InconsistentAnswerError(f"{self.what}: expected {expected}, seen {seen}; {remedy}")

    def check_hub(self, headers: Mapping[str, str]) -> int | None:
        """Check the headers that the Hub itself answers with, and return the size of a large file.

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
