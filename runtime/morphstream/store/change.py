"""A change of a store: a new generation is assembled beside the others and becomes current in one step."""

import secrets
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

from morphstream.artifact.digest import Digest, digest_of, digest_of_file, verify_file
from morphstream.artifact.errors import DigestMismatchError
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import MANIFEST
from morphstream.store.generation import Installed, groups_of, is_exactly
from morphstream.store.record import Record
from morphstream.store.volume import remove_unused, sync

CURRENT = "current.json"
Fetch = Callable[[Mapping[str, Digest], Path], None]


class Taken(NamedTuple):
    """What is taken of a publication, with the names of models that came on demand."""

    manifest: EngineManifest
    added: tuple[str, ...]


class Change:
    """The right to change a store, which one process has at a time; lent by `Store`.

    Attributes:
        staging: An empty folder on the store's volume.
        held: What the store holds; None where that is nothing, or damaged.
    """

    def __init__(
        self,
        root: Path,
        staging: Path,
        *,
        held: Installed | None,
        named: str | None,
        rename: Callable[[Path, Path], object],
    ) -> None:
        self.staging, self.held = staging, held
        self._root, self._caches, self._named, self._rename = root, root / "caches", named, rename

    def taken(self, published: EngineManifest, base: Digest, groups: Collection[str] | None, where: str) -> Taken:
        """Choose from a published manifest some groups, or all, and the models that were added to what is held.

        Of the same publication, by the digest of that manifest, groups that are held stay: another process uses them.

        Raises:
            NoEngineError: It has no engine of a group.
        """
        held = self.held
        if held and held.base == base and groups is not None:
            booted = (f for f in held.manifest.engine_files.values() if f.onnx_model not in held.added)
            groups = {*groups, *(file.group for file in booted)}
        chosen = groups_of(published, groups, where)
        if held is None or held.cache_key != published.cache_key:
            return Taken(chosen, ())
        own = {file.onnx_model for file in chosen.engine_files.values()}
        added = tuple(model for model in held.added if model not in own)
        files = dict(chosen.engine_files)
        for model in added:  # as they are published now, or else as they are
            both = (
                {n: f for n, f in m.engine_files.items() if f.onnx_model == model} for m in (published, held.manifest)
            )
            files |= next(filter(None, both))
        return Taken(replace(chosen, engine_files=files), added)

    def lying(self, manifest: Digest, files: Mapping[str, Digest]) -> Path | None:
        """Return a generation that lies there already, every digest right; None if there is none.

        Args:
            manifest: Digest of its manifest.
            files: Of each of its files, the manifest among them.
        """
        found = sorted(self._caches.glob(f"{_name_of(manifest)}*"))
        return next((folder for folder in found if is_exactly(folder, files)), None)

    def assemble(self, manifest: EngineManifest, fresh: Path | None = None, fetch: Fetch | None = None) -> Path:
        """Put a generation beside the others, and return its folder.

        Args:
            manifest: What it holds.
            fresh: A folder in `staging` with files that have come already; those of no use are removed.
            fetch: Puts into a folder what neither came nor lies in the store.

        Raises:
            OSError: The store can't be written.
        """
        if fresh is None:
            fresh = self.staging / "engines"
            fresh.mkdir()
        missing = manifest.digests
        for path in fresh.iterdir():
            if missing.pop(path.name, None) is None:
                path.unlink()
        missing = {name: digest for name, digest in missing.items() if not self._linked(name, digest, fresh)}
        if fetch and missing:
            fetch(missing, fresh)
        text = manifest.to_json().encode()
        (fresh / MANIFEST).write_bytes(text)
        for path in (*fresh.iterdir(), fresh):
            sync(path)
        self._caches.mkdir(exist_ok=True)
        own = _name_of(digest_of(text))
        folders = (self._caches / (f"{own}.{number}" if number else own) for number in count())
        folder = next(folder for folder in folders if folder.name != self._named and remove_unused(folder, MANIFEST))
        self._rename(fresh, folder)
        sync(self._caches)
        return folder

    def switch(
        self, folder: Path, *, archive: str, base: Digest, key: CacheKey, is_whole: bool, added: Collection[str]
    ) -> None:
        """Make a generation the current one."""
        record = Record(
            archive=archive,
            base=base,
            is_whole=is_whole,
            added=tuple(added),
            cache_key=key,
            manifest_digest=digest_of_file(folder / MANIFEST),
            folder=folder.name,
            serial=secrets.token_hex(8),
        )
        (self.staging / CURRENT).write_text(record.to_json())
        sync(self.staging / CURRENT)
        self._rename(self.staging / CURRENT, self._root / CURRENT)
        sync(self._root)

    def sweep(self, current: str | None) -> tuple[Path, ...]:
        """Remove every generation but the current one and those that are held by a process; return the latter."""
        others = [folder for folder in sorted(self._caches.glob("*")) if folder.name != current]
        return tuple(folder for folder in others if not remove_unused(folder, MANIFEST))

    def _linked(self, name: str, digest: Digest, fresh: Path) -> bool:
        """Have a file that lies in the store be in a new generation, too, in no room where the volume has links."""
        path = self._found(name, digest)
        if path is None:
            return False
        try:
            (fresh / name).hardlink_to(path)
        except OSError:
            shutil.copyfile(path, fresh / name)
        return True

    def _found(self, name: str, digest: Digest) -> Path | None:
        """Return where a file lies in the store; None if it doesn't, or only damaged."""
        if self.held and (file := self.held.manifest.engine_files.get(name)) and file.digest == digest:
            return self.held.folder / name  # its size is right, and no more is asked of what is in use
        for path in (folder / name for folder in sorted(self._caches.glob("*"))):  # a name may be a pattern
            with suppress(DigestMismatchError, OSError):
                verify_file(path, digest)
                return path
        return None


def _name_of(manifest: Digest) -> str:
    return manifest.sha256[:16]
