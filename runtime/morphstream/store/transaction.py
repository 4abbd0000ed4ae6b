"""A change of a store: a new generation is assembled beside the others, and becomes current in one step."""

import secrets
import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import NoEngineError
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.vocabulary import MANIFEST
from morphstream.source.fetch import DELIVERED, Delivery, Fetch
from morphstream.source.publication import PublishedManifest
from morphstream.store.generations import Generations, is_exactly
from morphstream.store.installed import Installed
from morphstream.store.volume import sync

CURRENT = "current.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The part of a published manifest that will be installed, and models that were added on demand.

    Attributes:
        publication: Digest of the published manifest.
        manifest: Names the files.
        text: What ``manifest.json`` will hold: the published bytes where the whole publication is selected.
        added: The models that were added.
    """

    publication: Digest
    manifest: EngineManifest
    text: bytes
    added: tuple[str, ...] = ()

    @classmethod
    def part(cls, publication: Digest, manifest: EngineManifest, added: Collection[str]) -> Self:
        """Select what a manifest names that isn't the published one."""
        text = manifest.to_json().encode()
        return cls(publication=publication, manifest=manifest, text=text, added=tuple(added))


def select_groups(
    published: PublishedManifest, groups: Collection[str] | None, current: Installed | None, where: str
) -> Selection:
    """Select some groups of a publication, and the models that were added to what is installed.

    Of the same publication, installed groups stay: another process uses them.

    Args:
        published: The published manifest.
        groups: The groups; None for all.
        current: What is installed; None for nothing.
        where: Names the publication in a refusal.

    Raises:
        NoEngineError: It has no engine of a group.
    """
    files, own = published.manifest.engine_files, published.manifest.groups
    if groups is not None:
        if missing := sorted(set(groups) - own):
            expected = f"{where}: expected engines of {', '.join(missing)}"
            raise NoEngineError(f"{expected}, seen {', '.join(sorted(own))}; build them or name others")
        if current and current.publication == published.digest:
            booted = current.manifest.files_where(lambda file: file.onnx_model not in current.added)
            groups = {*groups, *(file.group for file in booted.values())}
        files = published.manifest.files_where(lambda file: file.group in groups)
    added = tuple[str, ...]()
    if current and current.cache_key == published.manifest.cache_key:
        selected = {file.onnx_model for file in files.values()}
        added = tuple(model for model in current.added if model not in selected)
        for model in added:  # as published now, or else as it is
            files = {**files, **(published.manifest.files_of(model) or current.manifest.files_of(model))}
    if not added and len(files) == len(published.manifest.engine_files):
        return Selection(publication=published.digest, manifest=published.manifest, text=published.text)
    return Selection.part(published.digest, replace(published.manifest, engine_files=files), added)


class StoreTransaction:
    """An exclusive, locked change of a store: assemble a generation, then make it current.

    Attributes:
        staging: An empty folder on the store's volume.
        current: What the store holds; None where that is nothing, or damaged.
    """

    def __init__(self, generations: Generations, staging: Path, current: Installed | None) -> None:
        self.staging, self.current = staging, current
        self._generations = generations

    def open(self, delivery: Delivery) -> PublishedManifest:
        """Return the manifest of a delivery, which isn't opened where the store has the same publication whole."""
        for folder in self._generations.find(delivery.files[MANIFEST]) if delivery.files else ():
            if is_exactly(folder / MANIFEST, delivery.files[MANIFEST]):
                published = PublishedManifest.parse((folder / MANIFEST).read_bytes(), delivery.cache_key, str(folder))
                if published.files == delivery.files:
                    return published
        return delivery.open(self.staging)

    def assemble(self, selection: Selection, fetch: Fetch) -> Path:
        """Return the folder of a generation with a selection: an existing one if it is intact, or else a new one.

        Args:
            selection: What it holds.
            fetch: Brings into a folder the files that neither came with a delivery nor are in the store.

        Raises:
            OSError: The store can't be written.
        """
        content, missing = digest_of(selection.text), selection.manifest.digests
        if intact := self._generations.find_intact(content, {**missing, MANIFEST: content}):
            return intact
        fresh = self.staging / DELIVERED
        fresh.mkdir(exist_ok=True)
        for path in fresh.iterdir():
            if missing.pop(path.name, None) is None:
                path.unlink()
        if missing := {name: digest for name, digest in missing.items() if not self._link(name, digest, fresh)}:
            fetch(missing, fresh)
        (fresh / MANIFEST).write_bytes(selection.text)  # never a link: by its lock a generation is held
        return self._generations.add(fresh, content)

    def switch(self, folder: Path, selection: Selection, *, archive: str, is_whole: bool) -> None:
        """Make a generation the current one.

        Args:
            folder: Its folder.
            selection: What it holds.
            archive: Where it came from: the name of an archive, or ``trt_cache/CACHE_KEY``.
            is_whole: All groups of the publication were installed.

        Raises:
            OSError: The store can't be written.
        """
        installed = Installed(
            archive=archive,
            publication=selection.publication,
            is_whole=is_whole,
            added=selection.added,
            folder=folder,
            manifest=selection.manifest,
            manifest_digest=digest_of(selection.text),
        )
        (self.staging / CURRENT).write_text(installed.to_json(secrets.token_hex(8)))
        sync(self.staging / CURRENT)
        self._generations.point(self.staging / CURRENT)

    def _link(self, name: str, digest: Digest, fresh: Path) -> bool:
        """Link an intact file of the store into a new generation, or copy it where the volume has no links."""
        if self.current and self.current.manifest.digests.get(name) == digest:
            path = self.current.folder / name  # its size is right, and no more is asked of what is in use
        else:
            others = (folder / name for folder in sorted(self._generations.folder.glob("*")))  # a name may be a pattern
            intact = [path for path in others if is_exactly(path, digest)]
            if not intact:
                return False
            path = intact[0]
        try:
            (fresh / name).hardlink_to(path)
        except OSError:
            shutil.copyfile(path, fresh / name)
        return True
