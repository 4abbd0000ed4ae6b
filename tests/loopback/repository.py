"""A repository of the loopback hub: Git holds the commits, large files are stored beside them as by git-lfs.

Convention: ROOT/models/ORGANISATION/NAME/.git, with ``lfs/objects/AA/BB/SHA256`` in it. Any tool of Git's can read it.
"""

import re
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dulwich.index import commit_tree
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

MAIN = Ref(b"refs/heads/main")
LARGE = ("*.onnx", "*.bin", "*.zst", "*.engine", "*.npy")  # as a new repository's .gitattributes has it
_FILE_MODE = 0o100644
_SHORTEST = 7  # digits that name a commit
_WHO = b"loopback hub <hub@localhost>"
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
_POINTER_FORM = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize ([0-9]+)\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of a commit: Git's sha1 of its blob, its size, and where it is large its sha256 and its pointer's size."""

    oid: str
    bytes: int
    sha256: str | None = None
    pointer_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Large:
    """A large file that a commit names."""

    sha256: str
    bytes: int


class NotTheTipError(Exception):
    """The parent that a commit was to have is not the tip."""


class MissingError(Exception):
    """A path that was to be deleted isn't there; `args` has it."""


class Repository:
    """A model repository; one process serves it, in any number of threads.

    Attributes:
        name: ``organisation/name``.
        is_private: Whether only known tokens may see it.
        path: Where Git's folder is.
    """

    def __init__(self, root: Path, name: str, *, is_private: bool = True) -> None:
        self.name, self.is_private = name, is_private
        self.path = root / "models" / name
        self._lock = threading.RLock()
        self._entries: dict[ObjectID, Entry] = {}
        public = self.path / ".git" / "public"  # a mark of ours that Git doesn't look at
        if (self.path / ".git").is_dir():
            self._git = Repo(str(self.path))
            self.is_private = not public.exists()
            return
        self.path.mkdir(parents=True, exist_ok=True)
        self._git = Repo.init(str(self.path), default_branch=b"main")
        if not is_private:
            public.touch()
        rules = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LARGE)
        self.commit(None, "initial commit", {".gitattributes": rules.encode()})

    def close(self) -> None:
        """Close what Git has open."""
        self._git.close()

    def tip(self) -> str:
        """Return the commit that main is at."""
        return self._git.refs[MAIN].decode()

    def resolve(self, revision: str) -> str | None:
        """Return the commit of main or of 40 digits; None where there is none."""
        if revision == "main":
            return self.tip()
        oid = ObjectID(revision.encode())
        with self._lock:
            known = re.fullmatch("[0-9a-f]{40}", revision) and oid in self._git.object_store
            return revision if known and isinstance(self._git[oid], Commit) else None

    def commits(self) -> list[str]:
        """Return all commits of main, the newest first."""
        found, oid = [], self.tip()
        while oid:
            found.append(oid)
            parents = self.commit_object(oid).parents
            oid = parents[0].decode() if parents else ""
        return found

    def commit_object(self, oid: str) -> Commit:
        """Return a commit as Git holds it."""
        with self._lock:
            found = self._git[ObjectID(oid.encode())]
        assert isinstance(found, Commit)
        return found

    def files(self, commit: str) -> dict[str, Entry]:
        """Return every file of a commit, by path."""
        with self._lock:
            tree = self.commit_object(commit).tree
            entries = iter_tree_contents(self._git.object_store, tree)
            return {entry.path.decode(): self._entry(entry.sha) for entry in entries if entry.path and entry.sha}

    def read(self, entry: Entry) -> bytes:
        """Return the bytes of a file."""
        return self.object_path(entry.sha256).read_bytes() if entry.sha256 else self._blob(ObjectID(entry.oid.encode()))

    def object_path(self, sha256: str) -> Path:
        """Return the path of a large file, which need not exist."""
        return self.path / ".git" / "lfs" / "objects" / sha256[:2] / sha256[2:4] / sha256

    def commit(
        self,
        parent: str | None,
        message: str,
        added: Mapping[str, bytes | Large],
        deleted: Collection[str] = (),
        folders: Collection[str] = (),
    ) -> str:
        """Make a commit on top of the tip and return it, or change nothing.

        Args:
            parent: What the tip must be; None for whatever it is.
            message: Of the commit.
            added: What each path is to hold.
            deleted: Paths of files to delete.
            folders: Paths of folders to delete.

        Raises:
            NotTheTipError: The tip is another.
            MissingError: A path to delete isn't there.
            ValueError: A path would be a file and a folder.
        """
        with self._lock:
            tip = self._git.refs.read_ref(MAIN)
            if parent is not None and (len(parent) < _SHORTEST or tip is None or not tip.decode().startswith(parent)):
                raise NotTheTipError
            held = self.files(tip.decode()) if tip else {}
            tree = _without({path: ObjectID(entry.oid.encode()) for path, entry in held.items()}, deleted, folders)
            if clash := {str(above) for path in added for above in PurePosixPath(path).parents} & {*tree, *added}:
                raise ValueError(f"{min(clash)} can't be a file and a folder")
            for path, content in added.items():
                pointer = "" if isinstance(content, bytes) else _POINTER.format(content.sha256, content.bytes)
                blob = Blob.from_string(content if isinstance(content, bytes) else pointer.encode())
                self._git.object_store.add_object(blob)
                tree[path] = blob.id
            return self._commit_tree(message, tree, ObjectID(tip) if tip else None)

    def _commit_tree(self, message: str, tree: Mapping[str, ObjectID], tip: ObjectID | None) -> str:
        made = Commit()
        files = [(path.encode(), oid, _FILE_MODE) for path, oid in tree.items()]
        made.tree = commit_tree(self._git.object_store, files)
        made.parents = [tip] if tip else []
        made.author = made.committer = _WHO
        made.author_time = made.commit_time = made.author_timezone = made.commit_timezone = 0
        made.message = f"{message}\n".encode()
        self._git.object_store.add_object(made)
        if not self._git.refs.set_if_equals(MAIN, tip, made.id):
            raise NotTheTipError
        return made.id.decode()

    def _entry(self, oid: ObjectID) -> Entry:
        if oid not in self._entries:
            data = self._blob(oid)
            found = _POINTER_FORM.fullmatch(data)
            self._entries[oid] = (
                Entry(oid=oid.decode(), bytes=int(found[2]), sha256=found[1].decode(), pointer_bytes=len(data))
                if found
                else Entry(oid=oid.decode(), bytes=len(data))
            )
        return self._entries[oid]

    def _blob(self, oid: ObjectID) -> bytes:
        with self._lock:
            found = self._git[oid]
        assert isinstance(found, Blob)
        return found.data


def _without(tree: Mapping[str, ObjectID], deleted: Collection[str], folders: Collection[str]) -> dict[str, ObjectID]:
    removed = set(deleted)
    for folder in folders:
        inside = {path for path in tree if path.startswith(f"{folder.rstrip('/')}/")}
        if not inside:
            raise MissingError(folder)
        removed |= inside
    if missing := sorted(removed - set(tree)):
        raise MissingError(missing[0])
    return {path: oid for path, oid in tree.items() if path not in removed}
