"""A change of a store: a new generation is assembled beside the others, and becomes current in one step."""

import secrets
import shutil
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from morphstream.artifact.archive import sync
from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import NoEngineError
from morphstream.artifact.regular_file import read_regular
from morphstream.artifact.vocabulary import MANIFEST, SHARED
from morphstream.source.fetch import DELIVERED, Delivery, Fetch
from morphstream.source.publication import PublishedManifest
from morphstream.source.source import SMALL_BYTES_MAX
from morphstream.store.generations import Generations, is_exactly
from morphstream.store.installed import Installed, Selection

CURRENT = "current.json"


def select_groups(
    published: PublishedManifest, groups: Collection[str] | None, current: Installed | None, delivery: Delivery
) -> Selection:
    """Select some groups of a publication, or all, and the models that were added to what is installed.

    What models share comes with any group. Of the same publication, installed groups stay: another process uses them.
    """
    manifest, text, added = published.manifest, published.text, tuple[str, ...]()
    files = manifest.engine_files
    if groups is not None:
        if missing := sorted(set(groups) - manifest.groups):
            expected = f"{delivery.where}: expected engines of {', '.join(missing)}"
            raise NoEngineError(f"{expected}, seen {', '.join(sorted(manifest.groups))}; build them or name others")
        wanted = {*groups, SHARED}
        if current and current.publication == published.digest:
            installed = current.manifest.engine_files.values()
            wanted |= {file.group for file in installed if file.onnx_model not in current.added}
        files = manifest.files_where(lambda file: file.group in wanted)
    if current and current.cache_key == manifest.cache_key:
        selected = {file.onnx_model for file in files.values()}
        added = tuple(model for model in current.added if model not in selected)
        for model in added:  # as published now, or else as it is
            files = {**files, **(manifest.files_of(model) or current.manifest.files_of(model))}
    if added or len(files) < len(manifest.engine_files):
        manifest = replace(manifest, engine_files=files)
        text = manifest.to_json().encode()
    return Selection(
        archive=delivery.archive,
        publication=published.digest,
        is_whole=groups is None,
        added=added,
        manifest=manifest,
        text=text,
        is_trusted=delivery.is_trusted,
    )


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
                text = read_regular(folder / MANIFEST, SMALL_BYTES_MAX)
                published = PublishedManifest.parse(text, delivery.cache_key, str(folder))
                if published.files == delivery.files:
                    return published
        return delivery.open(self.staging)

    def assemble(self, selection: Selection, fetch: Fetch) -> Path:
        """Return the folder of a generation with a selection: an existing one if it is intact, or else a new one.

        Files that neither came with a delivery nor are in the store are fetched.
        """
        content, missing = digest_of(selection.text), selection.manifest.digests
        if intact := self._generations.find_intact(content, {**missing, MANIFEST: content}):
            return intact
        fresh = self.staging / DELIVERED
        fresh.mkdir(exist_ok=True)
        for path in fresh.iterdir():
            if missing.pop(path.name, None) is None:
                path.unlink()
        folders = self._generations.find_own() if missing else []
        absent = {name: digest for name, digest in missing.items() if not self._link(name, digest, fresh, folders)}
        if absent:
            fetch(absent, fresh)
        (fresh / MANIFEST).write_bytes(selection.text)  # never a link: by its lock a generation is held
        return self._generations.add(fresh, content)

    def switch(self, folder: Path, selection: Selection) -> None:
        """Make the generation of a selection the current one."""
        (self.staging / CURRENT).write_text(selection.to_json(folder.name, serial=secrets.token_hex(8)))
        sync(self.staging / CURRENT)
        self._generations.point(self.staging / CURRENT)

    def _link(self, name: str, digest: Digest, fresh: Path, folders: Iterable[Path]) -> bool:
        """Link an intact file of the store into a new generation, or copy it where the volume has no links."""
        path: Path | None
        if self.current and self.current.manifest.digests.get(name) == digest:
            path = self.current.folder / name  # its size is right, and no more is asked of what is in use
        else:
            path = next((folder / name for folder in folders if is_exactly(folder / name, digest)), None)
        if path is None:
            return False
        try:
            (fresh / name).hardlink_to(path)
        except OSError:
            shutil.copyfile(path, fresh / name)
        return True
