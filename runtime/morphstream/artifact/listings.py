"""The two manifests that list what is published beside engines: the models, and the archives.

``manifests/README.md`` specifies the formats; `morphstream.artifact.manifest` how they are read and written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from morphstream.artifact import fields, vocabulary
from morphstream.artifact.digest import Digest
from morphstream.artifact.target import CacheKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A pinned model.

    Attributes:
        file: Path of the ONNX file in the published repository.
        digest: Digest of its bytes.
        role: What it does, one of ``ROLES``.
        worker: The class that runs it; None where none does.
        group: The models it is rebuilt and shipped with, one of ``GROUPS``.
        delivery: How it reaches a machine, one of ``DELIVERIES``.
        precision: The numbers its engines on GPUs calculate with, one of ``MODEL_PRECISIONS``.
        licence: Licence of the weights, in words.

    Raises:
        ManifestError: A value is not of that form.
    """

    file: str
    digest: Digest
    role: str
    worker: str | None
    group: str
    delivery: str
    precision: str
    licence: str

    def __post_init__(self) -> None:
        fields.check_form("file", self.file, vocabulary.MODEL_PATH)
        fields.check_choice("role", self.role, vocabulary.ROLES)
        if self.worker is not None:
            fields.check_form("worker", self.worker, vocabulary.CLASS_NAME)
        fields.check_choice("group", self.group, vocabulary.GROUPS)
        fields.check_choice("delivery", self.delivery, vocabulary.DELIVERIES)
        fields.check_choice("precision", self.precision, vocabulary.MODEL_PRECISIONS)
        fields.check_form("licence", self.licence, vocabulary.LICENCE)

    @classmethod
    def _from_dict(cls, data: fields.Object) -> Self:
        keys = ("file", "role", "group", "delivery", "precision", "licence")
        texts = {key: fields.required(data, key, str) for key in keys}
        return cls(digest=fields.read_digest(data), worker=fields.nullable(data, "worker", str), **texts)

    def _to_dict(self) -> fields.Object:
        keys = ("role", "worker", "group", "delivery", "precision", "licence")
        rest = {key: getattr(self, key) for key in keys}
        return {"file": self.file, **fields.digest_keys(self.digest), **rest}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsManifest:
    """``manifests/models.json``, format version 1: every pinned model.

    Attributes:
        origin: Where the models come from, one of ``ORIGINS``.
        models: At least one model, by name.

    Raises:
        ManifestError: A value is not of that form.
    """

    origin: str
    models: Mapping[str, ModelEntry]

    def __post_init__(self) -> None:
        fields.check_choice("origin", self.origin, vocabulary.ORIGINS)
        fields.check_names("models", self.models, vocabulary.MODEL_NAME)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a manifest.

        Raises:
            ManifestError: It breaks the format.
        """
        data = fields.parse_object(text, format_version=1)
        models = fields.entries(data, "models", ModelEntry._from_dict)
        return cls(origin=fields.required(data, "origin", str), models=models)

    def to_json(self) -> str:
        """Return the manifest as text."""
        models = {name: model._to_dict() for name, model in sorted(self.models.items())}
        return fields.dump({"format_version": 1, "origin": self.origin, "models": models})


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEntry:
    """A published archive.

    Attributes:
        digest: Digest of the ``.tar.zst`` file: what to download.
        tar_digest: Digest of the tar inside: the identity of the content, whatever compressed it.
        cache_key: The engine cache it holds; None where it holds something else.
        files: Digest of each file in it, at least one, by path.

    Raises:
        ManifestError: A path is not safe, or there is none.
    """

    digest: Digest
    tar_digest: Digest
    cache_key: CacheKey | None
    files: Mapping[str, Digest]

    def __post_init__(self) -> None:
        fields.check_names("files", self.files, vocabulary.SAFE_PATH)

    @classmethod
    def _from_dict(cls, data: fields.Object) -> Self:
        has_cache = fields.nullable(data, "cache_key", str) is not None
        return cls(
            digest=fields.read_digest(data),
            tar_digest=fields.read_digest(data, "tar_"),
            cache_key=fields.read_cache_key(data) if has_cache else None,
            files=fields.entries(data, "files", fields.read_digest),
        )

    def _to_dict(self) -> fields.Object:
        digests = {**fields.digest_keys(self.digest), **fields.digest_keys(self.tar_digest, "tar_")}
        files = {path: fields.digest_keys(digest) for path, digest in sorted(self.files.items())}
        return {**digests, "cache_key": self.cache_key and str(self.cache_key), "files": files}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivesManifest:
    """``manifests/archives.json``, format version 1: every published archive.

    Attributes:
        archives: At least one archive, by file name; a code archive by its path.

    Raises:
        ManifestError: A name is none of an archive, or there is none.
    """

    archives: Mapping[str, ArchiveEntry]

    def __post_init__(self) -> None:
        fields.check_names("archives", self.archives, vocabulary.ARCHIVE_NAME)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a manifest.

        Raises:
            ManifestError: It breaks the format.
        """
        data = fields.parse_object(text, format_version=1)
        return cls(archives=fields.entries(data, "archives", ArchiveEntry._from_dict))

    def to_json(self) -> str:
        """Return the manifest as text."""
        archives = {name: archive._to_dict() for name, archive in sorted(self.archives.items())}
        return fields.dump({"format_version": 1, "archives": archives})
