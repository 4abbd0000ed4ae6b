"""How an engine cache comes from a source: packed in an archive, or file by file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from morphstream.artifact.digest import Digest
from morphstream.artifact.listings import ArchiveEntry
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import cache_path
from morphstream.source.fetch import fetch_engines, unpack_archive
from morphstream.source.publication import PublishedManifest, files_in_archive
from morphstream.source.source import Source
from morphstream.source.transfer import Transfer

DELIVERED = "engines"
Fetch = Callable[[Mapping[str, Digest], Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An engine cache that can be installed.

    Attributes:
        archive: What it comes from: the name of an archive, or ``trt_cache/CACHE_KEY``.
        cache_key: The published name of the cache.
        where: Names it in a refusal.
        open: Returns the published manifest; files that come with it go to a new folder DELIVERED in a given one.
        fetch: Brings files, by name and digest, into a given folder, be it open or not.
        files: Digest of each published file, the manifest among them; empty where they are known only after `open`.
    """

    archive: str
    cache_key: CacheKey
    where: str
    open: Callable[[Path], PublishedManifest]
    fetch: Fetch
    files: Mapping[str, Digest] = field(default_factory=dict)


def archive_delivery(name: str, entry: ArchiveEntry, source: Source) -> Delivery:
    """Return the delivery of an archive, which is read in one pass.

    Raises:
        ManifestError: The archive holds no engine cache.
    """
    key, files = files_in_archive(name, entry)

    def open_archive(staging: Path) -> PublishedManifest:
        cache, published = unpack_archive(name, entry, source, staging)
        cache.rename(staging / DELIVERED)
        return published

    def fetch(wanted: Mapping[str, Digest], folder: Path) -> None:
        cache, _ = unpack_archive(name, entry, source, folder.parent)
        for file in wanted:
            (cache / file).rename(folder / file)

    where = f"{source}, {name}"
    return Delivery(archive=name, cache_key=key, where=where, open=open_archive, fetch=fetch, files=files)


def engine_delivery(published: PublishedManifest, source: Source) -> Delivery:
    """Return the delivery of the single files that a manifest names."""
    key = published.manifest.cache_key
    fetch = partial(fetch_engines, source, key, transfer=Transfer())
    return Delivery(
        archive=cache_path(key),
        cache_key=key,
        where=f"{source}, {key}",
        open=lambda _: published,
        fetch=fetch,
        files=published.files,
    )
