"""An engine cache that lies in a store, and what its folder must hold."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from morphstream.artifact.digest import Digest, verify_file
from morphstream.artifact.errors import DigestMismatchError, ManifestError, NoEngineError
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import MANIFEST
from morphstream.store.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An engine cache in a store; its folder is there while it is current or held.

    Attributes:
        archive: Where it came from, a name of an archive or ``trt_cache/CACHE_KEY``.
        base: Digest of the manifest that was published there, the identity of the publication.
        is_whole: Every group of that was taken.
        added: Models that came later, on demand.
        folder: Where its files lie.
        manifest: What they are.
    """

    archive: str
    base: Digest
    is_whole: bool
    added: tuple[str, ...]
    folder: Path
    manifest: EngineManifest

    @property
    def cache_key(self) -> CacheKey:
        """The published name of the cache."""
        return self.manifest.cache_key

    @property
    def digests(self) -> dict[str, Digest]:
        """Digest of each engine file, by name.

        Raises:
            ManifestError: One has none; never in what `Store.current` returns.
        """
        return self.manifest.digests

    @property
    def models(self) -> dict[str, str]:
        """Group of each model that has an engine, by name."""
        return self.manifest.models

    def has(self, groups: Collection[str] | None) -> bool:
        """Tell whether there is an engine of every group; None for whether all that was published was taken."""
        if groups is None:
            return self.is_whole
        return set(groups) <= self.manifest.groups

    def files_of(self, model: str) -> dict[str, Path]:
        """Return the files of a model's engine, by kind.

        Raises:
            NoEngineError: There is no engine for it, or the manifest gives two of its files one kind or none.
        """
        found: dict[str, Path] = {}
        for name, file in self.manifest.engine_files.items():
            if file.onnx_model != model:
                continue
            if file.kind is None or file.kind in found:
                rule = f"{model}: expected every file to have a kind of its own"
                raise NoEngineError(f"{rule}, seen {name} with {file.kind}; build the archive again")
            found[file.kind] = self.folder / name
        if not found:
            held = ", ".join(self.models)
            remedy = f"run: morphstream download {model}"
            raise NoEngineError(f"{model}: expected an engine, seen those of {held} only; {remedy}")
        return found


def load(folder: Path, record: Record) -> Installed:
    """Return the engine cache in a folder, if its manifest is the record's and every file has the right size.

    Raises:
        DigestMismatchError: The manifest or a size is another.
        ManifestError: The manifest breaks its format, or contradicts the record.
        OSError: A file is missing, or can't be read.
    """
    verify_file(folder / MANIFEST, record.manifest_digest)
    manifest = EngineManifest.from_json((folder / MANIFEST).read_bytes())
    if manifest.cache_key != record.cache_key:
        seen = f"as in {MANIFEST}, seen {record.cache_key}"
        raise ManifestError("cache_key", f"expected {manifest.cache_key}, {seen}")
    for name, digest in manifest.digests.items():
        size = (folder / name).stat().st_size
        if size != digest.bytes:
            raise DigestMismatchError(name, f"{digest.bytes} bytes", f"{size} bytes")
    return Installed(
        archive=record.archive,
        base=record.base,
        is_whole=record.is_whole,
        added=record.added,
        folder=folder,
        manifest=manifest,
    )


def groups_of(manifest: EngineManifest, groups: Collection[str] | None, where: str) -> EngineManifest:
    """Return a manifest of some groups' files only; None for all.

    Raises:
        NoEngineError: It has no file of one.
    """
    if groups is None:
        return manifest
    if missing := sorted(set(groups) - manifest.groups):
        seen = ", ".join(sorted(manifest.groups))
        raise NoEngineError(
            f"{where}: expected engines of {', '.join(missing)}, seen {seen}; build them or name others"
        )
    return replace(manifest, engine_files=manifest.files_where(lambda file: file.group in groups))


def is_exactly(folder: Path, files: Mapping[str, Digest]) -> bool:
    """Tell whether a folder holds exactly some files, every digest computed."""
    try:
        if {path.name for path in folder.iterdir()} != files.keys():
            return False
        for name, digest in files.items():
            verify_file(folder / name, digest)
    except (DigestMismatchError, OSError):
        return False
    return True
