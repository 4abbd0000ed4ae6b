"""A repository on the Hub: which commit is its tip, what a commit holds, and one commit on top of it."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import sha
from huggingface_hub.utils._headers import build_hf_headers

from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import DigestMismatchError, FetchError
from morphstream.source.hub import HubSource
from morphstream.source.hub.attempt import AttemptError
from morphstream.source.hub.refusals import PAUSES_S, TIMEOUT_S, Retry
from morphstream.source.named import is_offline
from stages.hub.client import OutrunError, attempt, prepare_client
from stages.hub.transport import WRITE_TIMEOUT_S

_NOT_FOUND, _PRECONDITION_FAILED = 404, 412
_IGNORED = "# nothing\n"  # instead of the repository's own list, by which the client would skip files silently


@dataclass(frozen=True, slots=True)
class Content:
    """What a file of a repository is to hold: its digest, and the bytes or the file that has them."""

    digest: Digest
    source: bytes | Path

    @classmethod
    def of_text(cls, text: str) -> "Content":
        """Return a text as a file's content."""
        return cls(digest_of(text.encode()), text.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a commit holds under a path.

    Attributes:
        bytes: Size of the file.
        sha256: Of the file, if it is in large storage; None if Git holds it.
        blob: Git's sha1 of what Git holds: the file, or the pointer to large storage.
    """

    bytes: int
    sha256: str | None
    blob: str

    def is_same(self, content: Content) -> bool:
        """Return whether a content is what is held already."""
        if self.bytes != content.digest.bytes:
            return False
        if self.sha256 is not None:
            return self.sha256 == content.digest.sha256
        data = content.source if isinstance(content.source, bytes) else content.source.read_bytes()
        return sha.git_hash(data) == self.blob


class Info(NamedTuple):
    """The commit that a revision means, whether only some tokens may read it, and its files, if the Hub lists them."""

    commit: str
    is_private: bool
    paths: frozenset[str] | None


class Commit(NamedTuple):
    """A commit of a repository: its 40 digits, its day as ``2026-12-01``, and its title."""

    id: str
    day: str
    title: str


class Repository:
    """A model repository on the Hub, with the token of the environment or of the user's login."""

    def __init__(
        self,
        name: str,
        *,
        endpoint: str | None = None,
        pauses_s: Sequence[float] = PAUSES_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        prepare_client()
        self.name, self.pauses_s, self.timeout_s = name, pauses_s, timeout_s
        self._endpoint = endpoint
        self._api = HfApi(endpoint=endpoint)
        HubSource(name, endpoint="http://localhost")  # refuses a file with a token that the client would wait for
        self._checked_source("main")

    def retry(self, what: str, timeout_s: float | None = None) -> Retry:
        """Return a count of attempts at one request."""
        return Retry(what=what, pauses_s=self.pauses_s, timeout_s=timeout_s or self.timeout_s, token=get_token())

    def look(self, revision: str = "main") -> Info | None:
        """Return what a branch, tag or commit means now; None where this token sees no such repository."""

        @attempt()
        def look() -> Info | None:
            try:
                info = self._api.model_info(self.name, revision=revision)
            except RepositoryNotFoundError as error:
                if error.response.status_code == _NOT_FOUND:  # without any token it answers 401
                    return None
                raise
            if not re.fullmatch("[0-9a-f]{40}", info.sha or ""):
                raise AttemptError("its commit", "an answer without one", "see HF_ENDPOINT", wait_s=None)
            paths = frozenset(sibling.rfilename for sibling in info.siblings or ())
            return Info(commit=info.sha or "", is_private=bool(info.private), paths=paths or None)

        return self.retry(f"{self.name}@{revision[:12]}").call(look)

    def commit_of(self, revision: str) -> str:
        """Return the 40 digits of the commit that a branch, tag or commit means now."""
        info = self.look(revision)
        if info is None:
            seen = "seen no repository that the token in use may see; see hub.repo in params.yaml, and HF_TOKEN"
            raise FetchError(f"{self.name}@{revision[:12]}: expected a commit, {seen}")
        return info.commit

    def create(self) -> None:
        """Create the repository, private, unless it is there."""
        create = attempt()(self._api.create_repo)
        self.retry(f"create {self.name}", WRITE_TIMEOUT_S).call(lambda: create(self.name, private=True, exist_ok=True))

    def files(self, commit: str) -> dict[str, Held]:
        """Return what each path of a commit holds."""
        look = partial(self._api.list_repo_tree, self.name, recursive=True, revision=commit)
        return {
            entry.path: _held(entry)
            for entry in self.retry(f"{self.name}@{commit[:7]}").call(attempt()(lambda: list(look())))
            if isinstance(entry, RepoFile)
        }

    def paths(self, commit: str, paths: Sequence[str]) -> dict[str, Held]:
        """Return what a commit holds under some paths, without those that it lacks."""
        look = partial(self._api.get_paths_info, self.name, list(paths), revision=commit)
        found = self.retry(f"{self.name}@{commit[:7]}").call(attempt()(look))
        return {entry.path: _held(entry) for entry in found if isinstance(entry, RepoFile)}

    def commits(self, most: int) -> list[Commit]:
        """Return the latest commits, the newest first, and no more than some."""
        look = partial(self._api.list_repo_commits, self.name)
        found = self.retry(f"{self.name}: its commits").call(attempt()(look))
        return [Commit(one.commit_id, f"{one.created_at:%Y-%m-%d}", one.title) for one in found[:most]]

    def source(self, commit: str) -> HubSource:
        """Return a source of the files of a commit, with the token that the client would send."""
        if is_offline():
            raise FetchError(f"{self.name}: expected a Hub to ask, seen HF_HUB_OFFLINE; unset it")
        return self._checked_source(commit)

    def _checked_source(self, revision: str) -> HubSource:
        """Return a source of a revision, if its name, the endpoint and the token may be such."""
        token = build_hf_headers().get("authorization", "").removeprefix("Bearer ")
        try:
            return HubSource(
                self.name,
                revision,
                endpoint=self._endpoint,
                token=token,
                timeout_s=self.timeout_s,
                pauses_s=self.pauses_s,
            )
        except ValueError as error:
            raise FetchError(str(error)) from None

    def read(self, path: str, commit: str, held: Held) -> bytes:
        """Return a small file, verified."""

        @attempt()
        def fetch() -> bytes:
            data = self.source(commit).read(path)
            if not held.is_same(Content(digest_of(data), data)):
                raise AttemptError("the bytes that its listing names", "others", "run it again later")
            return data

        return self.retry(f"{self.name}@{commit[:7]} {path}").call(fetch)

    @attempt()
    def commit(
        self, parent: str, message: str, files: Mapping[str, Content], kept: Collection[str], deleted: Collection[str]
    ) -> str:
        """Make one commit on top of the tip, or none; return the new tip.

        All files are sent to the Hub, also those of the listing: the Hub skips what its tip holds already, and a
        listing may be older than the tip. Those in `kept` are there already, and are not read again.

        Raises:
            OutrunError: The tip isn't `parent`, or lacks a path to delete.
            AttemptError: It failed otherwise; the commit may have been made.
        """
        deletions = [CommitOperationDelete(path, is_folder=False) for path in deleted]
        try:
            operations: list[CommitOperationAdd | CommitOperationDelete] = [*self._uploaded(files, kept), *deletions]
            return self._api.create_commit(self.name, operations, commit_message=message, parent_commit=parent).oid
        except HfHubHTTPError as error:
            is_late = error.response.status_code == _PRECONDITION_FAILED
            if is_late or isinstance(error, EntryNotFoundError):  # or a file to delete has been deleted
                seen = "seen another commit; run it again"
                raise OutrunError(f"{self.name}: expected {parent[:7]} at its tip, {seen}") from None
            raise

    def _uploaded(self, files: Mapping[str, Content], kept: Collection[str]) -> list[CommitOperationAdd]:
        """Upload large files, and return what adds all."""
        additions = []
        for path, content in files.items():
            source = content.source if isinstance(content.source, bytes) else str(content.source)
            additions.append(addition := CommitOperationAdd(path, source))
            if path in kept:
                addition.upload_info.sha256 = bytes.fromhex(content.digest.sha256)
        first = {files[addition.path_in_repo].digest: addition for addition in additions}
        equal = [addition for addition in additions if first[files[addition.path_in_repo].digest] is not addition]
        for some in filter(None, (list(first.values()), equal)):  # the Hub has what is equal, once the first are there
            self._api.preupload_lfs_files(self.name, some, gitignore_content=_IGNORED)
        for addition in additions:
            path, sent = addition.path_in_repo, addition.upload_info
            if (observed := Digest(sent.sha256.hex(), sent.size)) != files[path].digest:
                raise DigestMismatchError(path, files[path].digest, observed)
        return additions


def _held(file: RepoFile) -> Held:
    return Held(bytes=file.size, sha256=file.lfs.sha256 if file.lfs else None, blob=file.blob_id)
