"""What deploy tags hold and held before, by the history of the Hub's repository, and their way back to it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest
from morphstream.artifact.vocabulary import ARCHIVES
from stages.hub.download import download
from stages.hub.repository import Commit, Held, Repository
from stages.publish.plan import Tip
from stages.sign.publisher import Publisher
from stages.validate import check_unpacks

MOST_COMMITS = 50  # that are looked at, a request each


class DeployError(MorphstreamError):
    """A tag can't be given what it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a tag holds from a commit on.

    Attributes:
        tag: Such as ``develop``.
        commit: That gave it to the tag, or the oldest that was looked at.
        held: The archive of code.
    """

    tag: str
    commit: Commit
    held: Held

    def line(self) -> str:
        """Return it as a line: the tag, the commit, its day, the archive's bytes and digest, the commit's title."""
        code = f"{self.held.bytes:,} bytes, {(self.held.sha256 or self.held.blob)[:16]}"
        return f"{self.tag} {self.commit.id} {self.commit.day} {code}: {self.commit.title}"

    def to_object(self) -> dict[str, object]:
        """Return it as JSON has it."""
        code = {"bytes": self.held.bytes, "sha256": self.held.sha256}
        return {"tag": self.tag, "commit": self.commit.id, "day": self.commit.day, "title": self.commit.title, **code}


def code_path(tag: str) -> str:
    """Return the path of a tag's archive of code, which is its name in the manifest as well."""
    return f"deploy/{tag}/app_code.tar.zst"


def deployments(repository: Repository, tags: Collection[str]) -> Iterator[Deployment]:
    """Yield what each tag holds, then what it held before, the newest first, from the latest commits."""
    commits = repository.commits(MOST_COMMITS)
    held = [repository.paths(commit.id, [code_path(tag) for tag in tags]) for commit in commits]
    for tag in tags:
        seen = [files.get(code_path(tag)) for files in held]
        for commit, now, before in zip(commits, seen, [*seen[1:], None], strict=True):
            if now is not None and (before is None or before.blob != now.blob):
                yield Deployment(tag=tag, commit=commit, held=now)


def fetch_deployed(
    repository: Repository, revision: str, tags: Collection[str], build: Path, publisher: Publisher | None
) -> dict[str, ArchiveEntry]:
    """Download what tags had at a revision into build/, verified, and return the archives' entries by name.

    A publisher, who signs it anew, accepts what was signed there alone.

    Raises:
        DeployError: A tag had nothing there.
        SignError: The revision wasn't signed as the publisher's roots say.
    """
    commit, entries = repository.commit_of(revision), dict[str, ArchiveEntry]()
    there = Tip.of(repository, commit, repository.files(commit))
    text = (publisher.verified(there) if publisher else there).read(ARCHIVES)
    archives = ArchivesManifest.from_json(text).archives if text else {}
    for tag in tags:
        if (entry := archives.get(code_path(tag))) is None:
            seen = "seen none; `python -m stages.publish deploy --history` lists those that do"
            raise DeployError(f"deploy {tag}: expected {code_path(tag)} at {commit[:12]}, {seen}")
        entries[code_path(tag)] = entry
    for name, entry in entries.items():
        download(repository.source(commit), name, entry.digest, build / name)
        check_unpacks(build / name, entry)
    return entries
