"""Where verified artifacts lie on this machine: whole or absent, whoever looks and whenever.

Conventions:

* ``caches/ID/`` holds one engine cache: its files and their ``manifest.json``. ID begins its tar's sha256.
* ``current.json`` names the one in use, by digests of its tar and manifest; written last, it means complete.
* ``.staging/`` belongs to the process with the lock on ``.lock``; what a killed one left there is removed.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from morphstream.artifact import fields
from morphstream.artifact.archive import unpack
from morphstream.artifact.digest import Digest, digest_of_file, verify_file
from morphstream.artifact.errors import DigestMismatchError, ManifestError, MorphstreamError, NoEngineError
from morphstream.artifact.manifest import ArchiveEntry, EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.store.progress import Counted, progress
from morphstream.store.source import Source

MANIFEST = "manifest.json"
CURRENT = "current.json"
_FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An engine cache in a store; the next boot of another one removes its folder.

    Attributes:
        archive: Name of the archive it came from.
        tar_digest: Digest of that archive's tar, the identity of the content.
        folder: Where its files lie.
        manifest: What they are.
    """

    archive: str
    tar_digest: Digest
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
        return _digests_of(self.manifest)

    @property
    def models(self) -> dict[str, str]:
        """Group of each model that has an engine, by name."""
        files = self.manifest.engine_files.values()
        return dict(sorted((file.onnx_model, file.group) for file in files if file.onnx_model))

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
            raise NoEngineError(f"{model}: expected an engine, seen those of {held} only; build and boot it")
        return found


class Store:
    """A folder that holds one engine cache, or none; processes may share it.

    Attributes:
        path: The folder; it need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def current(self) -> Installed:
        """Return the engine cache in use; its files are there and have the right sizes.

        Raises:
            NoEngineError: Nothing was booted, or it is damaged.
        """
        text = self._read_current()
        try:
            return self._load(text)
        except (MorphstreamError, OSError) as error:
            if self._read_current() != text:  # another process has just replaced it
                return self.current()
            raise NoEngineError(f"store {self.path} is damaged: {error}; run: morphstream boot") from error

    def verify(self) -> None:
        """Compute every digest again.

        Raises:
            NoEngineError: Nothing was booted, or sizes tell already that it is damaged.
            DigestMismatchError: A file holds other bytes than the ones that were booted.
            OSError: A file can't be read.
        """
        installed = self.current()
        total_bytes = sum(digest.bytes for digest in installed.digests.values())
        with progress(f"verify {self.path}", total_bytes) as add:
            for name, digest in installed.digests.items():
                verify_file(installed.folder / name, digest)
                add(digest.bytes)

    def install(self, name: str, entry: ArchiveEntry, source: Source) -> bool:
        """Put an archive's engine cache in the place of the one before; on any error that one stays.

        It is opened under the lock, so that of several processes one reads it and the others find it there.

        Args:
            name: Of the archive.
            entry: What it must be and hold.
            source: Gives its bytes, in one pass.

        Returns:
            Whether it was put there; False where it was there already, and nothing was touched.

        Raises:
            ManifestError: The entry is of no engine cache, or contradicts the manifest in the archive.
            FetchError: The source can't give the archive.
            UnsafeArchiveError: It is broken, or holds other files than its entry says.
            DigestMismatchError: It, or a file in it, holds other bytes than its entry says.
            OSError: It can't be read, or the store can't be written.
        """
        if self._holds(entry):
            return False
        with self._staging() as staging:
            if self._holds(entry):  # another process was faster
                return False
            with (
                source.open_archive(name) as stream,
                progress(f"boot {name}", entry.digest.bytes) as add,
            ):
                counted = cast("BinaryIO", Counted(stream, add))  # unpack calls read alone
                unpack(counted, entry.files, staging / "archive", archive=entry.digest)
            self._publish(name, entry, staging, _checked_cache(name, entry, staging / "archive"))
        return True

    def _read_current(self) -> bytes:
        try:
            return (self.path / CURRENT).read_bytes()
        except OSError as error:
            seen = f"no {CURRENT} ({error.strerror}); run: morphstream boot"
            raise NoEngineError(f"store {self.path}: expected engines, seen {seen}") from error

    def _folder_of(self, tar_digest: Digest) -> Path:
        return self.path / "caches" / tar_digest.sha256[:16]

    def _load(self, text: bytes) -> Installed:
        data = fields.parse_object(text, format_version=_FORMAT_VERSION)
        tar_digest = fields.read_digest(data, "tar_")
        folder = self._folder_of(tar_digest)
        verify_file(folder / MANIFEST, fields.read_digest(data, "manifest_"))
        manifest = EngineManifest.from_json((folder / MANIFEST).read_bytes())
        fields.confirm(data, "cache_key", str(manifest.cache_key), why=f"as in {MANIFEST}")
        for name, digest in _digests_of(manifest).items():
            size = (folder / name).stat().st_size
            if size != digest.bytes:
                raise DigestMismatchError(name, f"{digest.bytes} bytes", f"{size} bytes")
        archive = fields.required(data, "archive", str)
        return Installed(archive=archive, tar_digest=tar_digest, folder=folder, manifest=manifest)

    def _holds(self, entry: ArchiveEntry) -> bool:
        try:
            return self.current().tar_digest == entry.tar_digest
        except NoEngineError:
            return False

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        """Lend an empty folder to one process at a time."""
        self.path.mkdir(parents=True, exist_ok=True)
        folder = self.path / ".staging"
        with (self.path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # ends with the process, however that ends
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _publish(self, name: str, entry: ArchiveEntry, staging: Path, cache: Path) -> None:
        tar = fields.digest_keys(entry.tar_digest, "tar_")
        manifest = fields.digest_keys(digest_of_file(cache / MANIFEST), "manifest_")
        rest = {"archive": name, **tar, "cache_key": str(entry.cache_key), **manifest}
        (staging / CURRENT).write_text(fields.dump({"format_version": _FORMAT_VERSION, **rest}))
        for path in (*cache.iterdir(), cache, staging / CURRENT):
            _sync(path)
        folder = self._folder_of(entry.tar_digest)
        folder.parent.mkdir(exist_ok=True)
        if folder.exists():  # damaged, or left by a process that was killed at this point
            folder.rename(staging / "damaged")
        cache.rename(folder)
        _sync(folder.parent)
        (staging / CURRENT).replace(self.path / CURRENT)
        _sync(self.path)
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)  # what can't be removed now is tried next time


def _digests_of(manifest: EngineManifest) -> dict[str, Digest]:
    """Return the digest of each engine file, by name.

    Raises:
        ManifestError: One has none.
    """
    digests = {}
    for name, file in manifest.engine_files.items():
        if file.digest is None:
            raise ManifestError(fields.path_of("engine_files", name), "expected sha256 and bytes, seen none")
        digests[name] = file.digest
    return digests


def _checked_cache(name: str, entry: ArchiveEntry, unpacked: Path) -> Path:
    """Return the folder of an unpacked engine cache whose manifest says what the archive's entry says.

    Raises:
        ManifestError: There is no engine cache, or its manifest says something else.
    """
    prefix = f"trt_cache/{entry.cache_key}"
    if entry.cache_key is None or f"{prefix}/{MANIFEST}" not in entry.files:
        raise ManifestError("", f"{name}: expected an engine cache and its {MANIFEST}, seen none")
    try:
        manifest = EngineManifest.from_json((unpacked / prefix / MANIFEST).read_bytes())
        said = {f"{prefix}/{file}": digest for file, digest in _digests_of(manifest).items()}
    except ManifestError as error:
        raise ManifestError(error.where, f"{name}, {MANIFEST}: {error.message}") from error
    if manifest.cache_key != entry.cache_key:
        where = fields.path_of("archives", name, "cache_key")
        raise ManifestError(where, f"expected {manifest.cache_key}, as in it, seen {entry.cache_key}")
    odd = {path for path, _ in said.items() ^ entry.files.items()} - {f"{prefix}/{MANIFEST}"}
    if odd:
        where = fields.path_of("archives", name, "files", min(odd))
        raise ManifestError(where, f"expected the digest that its {MANIFEST} says, seen another or none")
    return unpacked / prefix


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
