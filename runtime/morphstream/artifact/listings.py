"""The two manifests that list what is published beside engines: the models, and the archives.

``manifests/README.md`` specifies the formats; `morphstream.artifact.manifest` how they are read and written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Self

from morphstream.artifact import fields, vocabulary
from morphstream.artifact.digest import Digest
from morphstream.artifact.target import CacheKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A pinned model.

    Attributes:
        file: Path of the ONNX file in the published repository.
        worker: The class that runs it; None where none does.
        group: The models it is rebuilt and shipped with.
        delivery: How it reaches a machine.
        precision: The numbers its engines on GPUs calculate with.
        licence: Licence of the weights, in words.
        origin: Where it comes from, if not from where the manifest says; None if so.
    """

    file: Annotated[str, vocabulary.MODEL_PATH]
    digest: Digest
    role: Annotated[str, fields.one_of(vocabulary.ROLES)]
    worker: Annotated[str, vocabulary.CLASS_NAME] | None
    group: Annotated[str, vocabulary.GROUP]
    delivery: Annotated[str, fields.one_of(vocabulary.DELIVERIES)]
    precision: Annotated[str, fields.one_of(vocabulary.MODEL_PRECISIONS)]
    licence: Annotated[str, vocabulary.LICENCE]
    origin: Annotated[str, fields.one_of(vocabulary.ORIGINS)] | None = None

    def __post_init__(self) -> None:
        fields.check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEntry:
    """A published archive.

    Attributes:
        digest: Digest of the ``.tar.zst`` file: what to download.
        tar_digest: Digest of the tar inside: the identity of the content, whatever compressed it.
        cache_key: The engine cache it holds; None where it holds something else.
        files: Digest of each file in it, by path.
    """

    digest: Digest
    tar_digest: Digest
    cache_key: CacheKey | None
    files: Mapping[Annotated[str, vocabulary.SAFE_PATH], Digest]

    def __post_init__(self) -> None:
        fields.check(self)


class _Manifest:
    """A manifest of format version 1."""

    __slots__ = ()

    def __post_init__(self) -> None:
        fields.check(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a manifest."""
        return fields.read(cls, fields.parse_object(text, format_version=1))

    def to_json(self) -> str:
        """Return the manifest as text."""
        return fields.dump({"format_version": 1, **fields.written(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsManifest(_Manifest):
    """``manifests/models.json``, format version 1: every pinned model, by name."""

    origin: Annotated[str, fields.one_of(vocabulary.ORIGINS)]
    models: Mapping[Annotated[str, vocabulary.MODEL_NAME], ModelEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivesManifest(_Manifest):
    """``manifests/archives.json``, format version 1: every archive by its name, or by its path if it has code."""

    archives: Mapping[Annotated[str, vocabulary.ARCHIVE_NAME], ArchiveEntry]
