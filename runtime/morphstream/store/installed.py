"""What a store has installed: the record in ``current.json``, and the engine cache that it names."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from morphstream.artifact import fields
from morphstream.artifact.digest import Digest, digest_of, verify_file
from morphstream.artifact.errors import DigestMismatchError, ManifestError, NoEngineError
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.regular_file import read_regular
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import MANIFEST
from morphstream.source.source import SMALL_BYTES_MAX
from morphstream.store.generations import GENERATION

FORMAT_VERSION = 3
RECORD_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The part of a publication that is or will be installed.

    Attributes:
        archive: Where it comes from: the name of an archive, or ``trt_cache/CACHE_KEY``.
        publication: Digest of ``manifest.json`` as published.
        is_whole: All groups of the publication were selected.
        added: Models that were added on demand.
        manifest: The files.
        text: The bytes of its ``manifest.json``: the published ones, if it is the whole publication.
        is_trusted: All of it came from publications that were verified by their signatures, or was built here.
    """

    archive: str
    publication: Digest
    is_whole: bool
    added: tuple[str, ...]
    manifest: EngineManifest
    text: bytes
    is_trusted: bool = False

    @property
    def cache_key(self) -> CacheKey:
        """The published name of the engine cache."""
        return self.manifest.cache_key

    @property
    def models(self) -> dict[str, str]:
        """Group of each model that has an engine, by name."""
        return self.manifest.models

    @property
    def licences(self) -> dict[str, str]:
        """Licence of each model's weights, by model, as far as the manifest says them."""
        files = self.manifest.engine_files.values()
        return dict(sorted((file.onnx_model, file.licence) for file in files if file.onnx_model and file.licence))

    def model_of(self, role: str, usual: str) -> str:
        """Return the model of a role: the usual one, or the only one with that role where that isn't installed."""
        models = {file.onnx_model for file in self.manifest.engine_files.values() if file.role == role}
        (only,) = models if len(models) == 1 else (None,)
        return usual if usual in self.models or only is None else only

    def has(self, groups: Collection[str] | None) -> bool:
        """Return whether there is an engine of every group; None asks for the whole publication."""
        return self.is_whole if groups is None else self.manifest.groups.issuperset(groups)

    def to_json(self, folder: str, serial: str) -> str:
        """Return the record of a selection that is installed in a folder, as JSON text with its own sha256 last.

        By the serial, a random string, a record that was replaced never comes back.
        """
        data: fields.Object = {
            "format_version": FORMAT_VERSION,
            "archive": self.archive,
            **fields.digest_object(self.publication, "base_digest"),
            "is_whole": self.is_whole,
            "added": list(self.added),
            "is_trusted": self.is_trusted,
            "cache_key": str(self.cache_key),
            **fields.digest_object(digest_of(self.text), "manifest_digest"),
            "folder": folder,
            "serial": serial,
        }
        return _signed(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed(Selection):
    """An engine cache in a store, whose folder stays while it is current or held."""

    folder: Path

    @classmethod
    def load(cls, record: fields.Object, folder: Path) -> Self:
        """Read the engine cache that a record names, and check that every file has the right size."""
        verify_file(folder / MANIFEST, fields.read_digest(record, "manifest_digest"))
        text = read_regular(folder / MANIFEST, SMALL_BYTES_MAX)
        manifest = EngineManifest.from_json(text)
        fields.confirm(record, "cache_key", str(manifest.cache_key), why=f"as in {MANIFEST}")
        for name, digest in manifest.digests.items():
            size = (folder / name).stat().st_size
            if size != digest.bytes:
                raise DigestMismatchError(name, f"{digest.bytes} bytes", f"{size} bytes")
        return cls(
            archive=fields.required(record, "archive", str),
            publication=fields.read_digest(record, "base_digest"),
            is_whole=record.get("is_whole") is True,
            added=tuple(map(str, fields.required(record, "added", list))),
            manifest=manifest,
            text=text,
            is_trusted=record.get("is_trusted") is True,
            folder=folder,
        )

    def files_of(self, model: str) -> dict[str, Path]:
        """Return the files of a model's engine, by kind."""
        found: dict[str, Path] = {}
        for name, file in self.manifest.files_of(model).items():
            if file.kind is None or file.kind in found:
                rule = f"{model}: expected every file to have a kind of its own"
                raise NoEngineError(f"{rule}, seen {name} with {file.kind}; build the archive again")
            found[file.kind] = self.folder / name
        if not found:
            seen, remedy = ", ".join(self.models), f"run: morphstream download {model}"
            raise NoEngineError(f"{model}: expected an engine, seen those of {seen} only; {remedy}")
        return found


def read_record(text: bytes) -> tuple[str, fields.Object]:
    """Return the name of the folder that ``current.json`` names, and the record; every byte of it is checked."""
    record = fields.parse_object(text, format_version=FORMAT_VERSION)
    if text != _signed({key: value for key, value in record.items() if key != "record_sha256"}).encode():
        raise ManifestError("record_sha256", "expected the sha256 of this record, seen another")
    folder = fields.required(record, "folder", str)
    fields.check_form("folder", folder, GENERATION)
    return folder, record


def is_record(text: bytes) -> bool:
    """Return whether bytes may be those of a record, be it damaged."""
    return b'"record_sha256"' in text


def _signed(data: fields.Object) -> str:
    return fields.dump({**data, "record_sha256": digest_of(fields.dump(data).encode()).sha256})
