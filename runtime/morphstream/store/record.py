"""The record of what a store holds, as its ``current.json`` spells it; every byte of that is checked."""

from dataclasses import dataclass
from typing import Self

from morphstream.artifact import fields
from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.target import CacheKey

FORMAT_VERSION = 3
_FOLDER = fields.Form(r"[0-9a-f]{16}(\.[1-9][0-9]{0,8})?", "16 hexadecimal digits, and .NUMBER at most")
_SERIAL = fields.Form(r"[0-9a-f]{16}", "16 hexadecimal digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a store holds.

    Attributes:
        archive: Where it came from, a name of an archive or ``trt_cache/CACHE_KEY``.
        base: Digest of the manifest that was published there.
        is_whole: Every group of that was taken.
        added: Models that came later, on demand.
        cache_key: The published name of the cache.
        manifest_digest: Digest of the manifest that lies in the folder.
        folder: Name of its folder.
        serial: A random one of its own, so that a record that was replaced never comes back.

    Raises:
        ManifestError: A value is not of that form.
    """

    archive: str
    base: Digest
    is_whole: bool
    added: tuple[str, ...]
    cache_key: CacheKey
    manifest_digest: Digest
    folder: str
    serial: str

    def __post_init__(self) -> None:
        fields.check_form("folder", self.folder, _FOLDER)
        fields.check_form("serial", self.serial, _SERIAL)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read a record.

        Raises:
            ManifestError: It isn't what `to_json` gives, to the byte.
        """
        data = fields.parse_object(text, format_version=FORMAT_VERSION)
        record = cls(
            archive=fields.required(data, "archive", str),
            base=fields.read_digest(data, "base_"),
            is_whole=data.get("is_whole") is True,
            added=tuple(map(str, fields.required(data, "added", list))),
            cache_key=fields.read_cache_key(data),
            manifest_digest=fields.read_digest(data, "manifest_"),
            folder=fields.required(data, "folder", str),
            serial=fields.required(data, "serial", str),
        )
        if text != record.to_json().encode():
            raise ManifestError("record_sha256", "expected the record that it is of, seen another")
        return record

    def to_json(self) -> str:
        """Return the record as JSON text, its own sha256 last."""
        data: fields.Object = {
            "format_version": FORMAT_VERSION,
            "archive": self.archive,
            **fields.digest_keys(self.base, "base_"),
            "is_whole": self.is_whole,
            "added": list(self.added),
            "cache_key": str(self.cache_key),
            **fields.digest_keys(self.manifest_digest, "manifest_"),
            "folder": self.folder,
            "serial": self.serial,
        }
        return fields.dump({**data, "record_sha256": digest_of(fields.dump(data).encode()).sha256})
