"""The manifest of a target's engine cache, which names every file in it by digest, and those of models and archives.

``manifests/README.md`` specifies the formats. ``from_json`` is strict about every key it knows and ignores the others;
it raises ManifestError, as each class does when it is made. ``to_json`` gives equal manifests the same bytes, in ASCII.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Self

from morphstream.artifact import fields, vocabulary
from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.target import CacheKey

# Of the model card's groups, but for those of swap models, which are named as these are. An unknown group stays.
_PUBLISHED = {
    "core": ("detector", "baked"),
    "masks": (None, "baked"),
    "yolov8n": ("person_detector", "baked"),
    "gfpgan": ("restorer", "on_request"),
    vocabulary.SHARED: (None, "baked"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFile:
    """A file of a target's engine cache; None stands for what a manifest does not say.

    Attributes:
        group: The models it is rebuilt and shipped with.
        onnx_model: The model it was made from; None in group ``shared`` alone, for a file of several models.
        recipe: sha256 over everything that decided its bytes.
        kind: What is in it.
        precision: The numbers it calculates with.
        role: Of its model.
        delivery: How its model reaches a machine.
        emap: True where its model's source is the embedding times an emap, which is one of the model's files.
        licence: Of its model's weights, in words.
    """

    group: Annotated[str, vocabulary.GROUP]
    onnx_model: Annotated[str, vocabulary.MODEL_NAME] | None = field(metadata={"absent": None})
    digest: Digest | None = None
    recipe: Annotated[str, fields.SHA256] | None = None
    kind: Annotated[str, fields.one_of(vocabulary.KINDS)] | None = None
    precision: Annotated[str, fields.one_of(vocabulary.ENGINE_PRECISIONS)] | None = None
    role: Annotated[str, fields.one_of(vocabulary.ROLES)] | None = None
    delivery: Annotated[str, fields.one_of(vocabulary.DELIVERIES)] | None = None
    emap: bool | None = None
    licence: Annotated[str, vocabulary.LICENCE] | None = None

    def __post_init__(self) -> None:
        fields.check(self)
        if self.onnx_model is None and self.group != vocabulary.SHARED:
            raise ManifestError("onnx_model", "expected a model's name outside group shared, seen none")

    @property
    def is_on_demand(self) -> bool:
        """Whether its model comes when it is asked for, and may be evicted."""
        return (self.delivery or self._published[1]) != "baked"

    @property
    def served_role(self) -> str | None:
        """The role of its model; None where it can't be known."""
        return self.role or self._published[0]

    @property
    def _published(self) -> tuple[str | None, str]:
        """Role and delivery in a manifest that says neither, as published ones do: those of the model card's groups."""
        if self.group in _PUBLISHED:
            return _PUBLISHED[self.group]
        return ("swapper", "stream") if self.group == self.onnx_model else (None, "baked")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineManifest:
    """``manifest.json``, format version 2: the engine cache of one target.

    What the file repeats of the cache key (arch, versions, builder) is derived from it, so it can't disagree.

    Attributes:
        cache_key: The published name of the cache.
        toolchain: Exact version of each library that decided the bytes; None where the manifest does not say.
        engine_files: Its files, by name.
    """

    cache_key: CacheKey
    toolchain: Mapping[Annotated[str, vocabulary.LIBRARY], Annotated[str, vocabulary.VERSION]] | None = None
    engine_files: Mapping[Annotated[str, vocabulary.FILE_NAME], EngineFile]

    def __post_init__(self) -> None:
        fields.check(self)
        for library, declared in self.cache_key.versions:
            exact = declared if self.toolchain is None else self.toolchain.get(library, "no such library")
            if exact.split(".")[:2] != declared.split("."):
                where = fields.path_of("toolchain", library)
                raise ManifestError(where, f"expected {declared}, as in the cache key, seen {exact}")
        with_emap = {file.onnx_model for file in self.engine_files.values() if file.kind == "emap"}
        for name, file in self.engine_files.items():
            _check_precision(name, file, self.cache_key)
            _check_emap(name, file, with_emap)

    @property
    def digests(self) -> dict[str, Digest]:
        """Digest of each file, by name.

        Raises:
            ManifestError: A file has none.
        """
        digests = {}
        for name, file in self.engine_files.items():
            if file.digest is None:
                raise ManifestError(fields.path_of("engine_files", name), "expected sha256 and bytes, seen none")
            digests[name] = file.digest
        return digests

    @property
    def models(self) -> dict[str, str]:
        """Group of each model that has a file here, by model, in order."""
        return dict(sorted((file.onnx_model, file.group) for file in self.engine_files.values() if file.onnx_model))

    @property
    def groups(self) -> set[str]:
        """Groups that have a file here."""
        return {file.group for file in self.engine_files.values()}

    def files_of(self, model: str) -> dict[str, EngineFile]:
        """Return the files of a model, by name."""
        return self.files_where(lambda file: file.onnx_model == model)

    def files_where(self, is_wanted: Callable[[EngineFile], bool]) -> dict[str, EngineFile]:
        """Return the files that are wanted, by name."""
        return {name: file for name, file in self.engine_files.items() if is_wanted(file)}

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a manifest."""
        data = fields.parse_object(text, format_version=2)
        manifest = fields.read(cls, data)
        for key, value in manifest._derived().items():
            if key != "builder" or key in data:  # the published manifests name no builder
                fields.confirm(data, key, value, why="as in the cache key")
        return manifest

    def to_json(self) -> str:
        """Return the manifest as text."""
        head = {"cache_key": str(self.cache_key), "format_version": 2}
        return fields.dump({**head, **self._derived(), **fields.written(self)})

    def _derived(self) -> fields.Object:
        key, versions = self.cache_key, dict(self.cache_key.versions)
        libraries = {"trt_version": versions.get("tensorrt"), "ort_version": versions.get("onnxruntime")}
        return {"gpu_arch": key.arch, **libraries, "builder": key.builder}


def _check_emap(name: str, file: EngineFile, with_emap: Collection[str | None]) -> None:
    """Check that the emap of a file's model is here, if it needs one: without it faces become another's."""
    if file.emap and file.onnx_model not in with_emap:
        where = f"{fields.path_of('engine_files', name)}.emap"
        seen = f"seen none of {file.onnx_model}; build its engines again"
        raise ManifestError(where, f"expected a file of kind emap beside it, {seen}")


def _check_precision(name: str, file: EngineFile, key: CacheKey) -> None:
    """Check that a model's file has the cache key's precision, and that of a CPU's engines the key says bf16."""
    where = f"{fields.path_of('engine_files', name)}.precision"
    if key.precision is not None and file.onnx_model is not None and file.precision != key.precision:
        seen = fields.shown(file.precision) if file.precision else "no such key"
        raise ManifestError(where, f"expected {key.precision}, as in the cache key, seen {seen}")
    if key.builder == "openvino" and key.precision is None and file.precision == "bf16":
        raise ManifestError(where, f'expected a cache key that ends in _bf16, seen "{key}"')


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
