"""What a publication adds, keeps and deletes on top of a tip, and the table of that."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from morphstream.source.signed import METADATA
from stages.hub.repository import Content, Held, Repository

_TIMED = {f"{METADATA}/{name}.json" for name in ("targets", "snapshot", "timestamp")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The commit that a publication is made on top of."""

    commit: str  # 40 digits; empty where there is no repository yet
    held: Mapping[str, Held]  # what each path of it holds
    read: Callable[[str], bytes | None]  # returns a small file of it; None where there is none

    @classmethod
    def of(cls, repository: Repository, commit: str, held: Mapping[str, Held]) -> "Tip":
        """Return a commit, each file of which is read once."""
        texts = dict[str, bytes]()

        def read(path: str) -> bytes | None:
            if path in held and path not in texts:
                texts[path] = repository.read(path, commit, held[path])
            return texts.get(path)

        return cls(commit=commit, held=held, read=read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A publication on top of a tip."""

    tip: Tip
    files: Mapping[str, Content]  # what each path is to hold, whether it does already or not
    kept: frozenset[str]  # those of them that are there already
    deleted: tuple[str, ...]

    @classmethod
    def of(cls, tip: Tip, files: Mapping[str, Content], deleted: tuple[str, ...]) -> "Plan":
        """Compare what is wanted with what is there."""
        kept = {path for path, content in files.items() if path in tip.held and tip.held[path].is_same(content)}
        return cls(tip=tip, files=files, kept=frozenset(kept), deleted=deleted)

    @property
    def is_empty(self) -> bool:
        """Whether the tip is right as it is."""
        return len(self.kept) == len(self.files) and not self.deleted

    @property
    def added(self) -> list[str]:
        """Paths that get a content, new or another one."""
        return sorted(set(self.files) - self.kept)

    @property
    def identity(self) -> str:
        """A short digest of the tip and of all that is done to it, by which a plan that was shown is known again.

        Lists of signed documents have the time when they were signed, and aren't part of it; the documents are.
        """
        contents = [
            f"{path} {content.digest.sha256}" for path, content in sorted(self.files.items()) if path not in _TIMED
        ]
        text = "\n".join([self.tip.commit, *contents, *(f"delete {path}" for path in sorted(self.deleted))])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def table(self) -> str:
        """Return a line for each path: what is done, its bytes, the path; then a line that counts them."""
        return "\n".join([*(f"{action:6} {size:>15,} {path}" for action, size, path in self._rows()), self.summary()])

    def to_object(self) -> dict[str, object]:
        """Return it as JSON has it: its identity, and what is done to each path."""
        rows = [{"action": action, "bytes": size, "path": path} for action, size, path in self._rows()]
        return {"identity": self.identity, "files": rows}

    def summary(self) -> str:
        """Return how many files and bytes are added, kept and deleted, on one line."""
        sizes: dict[str, list[int]] = {"add": [], "keep": [], "delete": []}
        for action, size, _ in self._rows():
            sizes[action].append(size)
        return ", ".join(f"{action} {len(found)} ({sum(found):,} bytes)" for action, found in sizes.items())

    def _rows(self) -> list[tuple[str, int, str]]:
        rows = [("keep" if path in self.kept else "add", self.files[path].digest.bytes, path) for path in self.files]
        rows += [("delete", self.tip.held[path].bytes, path) for path in self.deleted]
        return sorted(rows, key=lambda row: (["add", "keep", "delete"].index(row[0]), row[2]))
