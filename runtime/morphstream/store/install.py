"""Put engines into a store: an archive's, single ones, or what was built here."""

import tempfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from morphstream.artifact.listings import ArchiveEntry
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import MANIFEST, cache_path
from morphstream.source.fetch import fetch_engines, unpack_archive
from morphstream.source.publication import files_in_archive, read_manifest, read_unpacked
from morphstream.source.source import Source
from morphstream.source.transfer import Transfer
from morphstream.store.change import Change
from morphstream.store.store import Store


def install_archive(
    store: Store, name: str, entry: ArchiveEntry, source: Source, *, groups: Collection[str] | None = None
) -> bool:
    """Put an archive's engine cache in the place of the one before; on any error that one stays.

    It is opened under the lock, so that of several processes one reads it and the others find it there. Where its
    files lie there already and every digest is right, as after a step back, it isn't opened. Models that were
    added on demand, and aren't in it, stay. Older generations are removed, but those that are held.

    Args:
        store: The store.
        name: Of the archive.
        entry: What it must be and hold.
        source: Gives its bytes, in one pass.
        groups: Which of its groups to keep; None for all.

    Returns:
        Whether it was put there; False where it was there already, and nothing was touched.

    Raises:
        ManifestError: The entry is of no engine cache, or contradicts the manifest in the archive.
        NoEngineError: It has no engine of a group.
        FetchError: The source can't give the archive.
        UnsafeArchiveError: It is broken, or holds other files than its entry says.
        DigestMismatchError: It, or a file in it, holds other bytes than its entry says.
        TimeoutError: Another process changes the store for longer than `timeout_s`.
        OSError: The store can't be written; says why, and what to do.
    """
    files = files_in_archive(name, entry)
    base = files[MANIFEST]
    if store.holds(base, groups):
        return False
    with store.changing() as change:
        if store.holds(base, groups):  # another process was faster
            return False
        folder, added = None, tuple[str, ...]()
        if groups is None and not (change.held and change.held.added):
            folder = change.lying(base, files)
        if folder:
            read_unpacked(name, entry, folder)
        else:
            fresh, published = unpack_archive(name, entry, source, change.staging)
            manifest, added = change.taken(published.manifest, base, groups, name)
            folder = change.assemble(manifest, fresh)
        assert entry.cache_key  # noqa: S101
        change.switch(folder, archive=name, base=base, key=entry.cache_key, is_whole=groups is None, added=added)
    return True


def install_engines(store: Store, key: CacheKey, source: Source, *, groups: Collection[str] | None = None) -> bool:
    """Put single engines in the place of the cache before, as `install_archive` puts an archive.

    Files that lie in the store already aren't fetched again.

    Args:
        store: The store.
        key: Of the engine cache in the published layout.
        source: Gives its manifest and its files.
        groups: Which of its groups to take; None for all.

    Returns:
        Whether they were put there; False where they were there already, and nothing was touched.

    Raises:
        ManifestError: The manifest breaks its format, names no digests or is of another key.
        NoEngineError: It has no engine of a group.
        FetchError: The source can't give the manifest, or a file.
        DigestMismatchError: A file holds other bytes than the manifest says.
        TimeoutError: Another process changes the store for longer than `timeout_s`.
        OSError: The store can't be written; says why, and what to do.
    """
    base = read_manifest(source, key).digest
    if store.holds(base, groups):
        return False
    with store.changing() as change:
        if store.holds(base, groups):
            return False
        _install_engines(change, key, source, groups)
    return True


def install_built(
    store: Store, key: CacheKey, build: Callable[[Path], Source], *, groups: Collection[str] | None = None
) -> bool:
    """Have engines built here, by one process, and put them in the place of the cache before.

    Args:
        store: The store.
        key: Of the engine cache.
        build: Builds it into a folder, which is empty and goes afterwards, and returns what has its layout.
        groups: Which of its groups to build; None for all.

    Returns:
        Whether they were put there; False where another process was faster.

    Raises:
        MorphstreamError: As `install_engines`, or what `build` raises.
        TimeoutError: So, too.
        OSError: So, too.
    """
    with store.changing() as change:
        held = change.held
        if held and held.cache_key == key and held.has(groups):
            return False
        folder = tempfile.mkdtemp(dir=change.staging)  # which the builder of a killed boot doesn't know
        _install_engines(change, key, build(Path(folder)), groups)
    return True


def _install_engines(change: Change, key: CacheKey, source: Source, groups: Collection[str] | None) -> None:
    published = read_manifest(source, key)
    base = published.digest
    manifest, added = change.taken(published.manifest, base, groups, f"{source}, {key}")
    folder = change.assemble(manifest, fetch=partial(fetch_engines, source, key, transfer=Transfer()))
    change.switch(folder, archive=cache_path(key), base=base, key=key, is_whole=groups is None, added=added)
