"""The manifest of a target's engine cache, which names every file in it by digest.

``manifests/README.md`` specifies the formats. ``from_json`` is strict about every key it knows and ignores
the others; ``to_json`` gives equal manifests the same bytes, in ASCII. Each class checks itself when made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from morphstream.artifact import fields, vocabulary
from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.target import CacheKey


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFile:
    """A file of a target's engine cache; None stands for what a manifest does not say.

    Attributes:
        group: The models it is rebuilt and shipped with, one of ``GROUPS``.
        onnx_model: The model it was made from; None in group ``shared`` alone, for a file of several models.
        digest: Digest of its bytes.
        recipe: sha256 over everything that decided its bytes.
        kind: What is in it, one of ``KINDS``.
        precision: The numbers it calculates with, one of ``ENGINE_PRECISIONS``.

    Raises:
        ManifestError: A value is not of that form.
    """

    group: str
    onnx_model: str | None
    digest: Digest | None = None
    recipe: str | None = None
    kind: str | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        fields.check_choice("group", self.group, vocabulary.GROUPS)
        if self.onnx_model is not None:
            fields.check_form("onnx_model", self.onnx_model, vocabulary.MODEL_NAME)
        elif self.group != "shared":
            raise ManifestError("onnx_model", "expected a model's name outside group shared, seen none")
        if self.recipe is not None:
            fields.check_form("recipe", self.recipe, fields.SHA256)
        if self.kind is not None:
            fields.check_choice("kind", self.kind, vocabulary.KINDS)
        if self.precision is not None:
            fields.check_choice("precision", self.precision, vocabulary.ENGINE_PRECISIONS)

    @classmethod
    def _from_dict(cls, data: fields.Object) -> Self:
        return cls(
            group=fields.required(data, "group", str),
            onnx_model=fields.nullable(data, "onnx_model", str) if "onnx_model" in data else None,
            digest=fields.read_digest(data) if "sha256" in data or "bytes" in data else None,
            recipe=fields.optional(data, "recipe", str),
            kind=fields.optional(data, "kind", str),
            precision=fields.optional(data, "precision", str),
        )

    def _to_dict(self) -> fields.Object:
        digest = fields.digest_keys(self.digest) if self.digest else {}
        rest = {"recipe": self.recipe, "kind": self.kind, "precision": self.precision}
        known = {key: value for key, value in rest.items() if value is not None}
        return {"group": self.group, "onnx_model": self.onnx_model, **digest, **known}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineManifest:
    """``manifest.json``, format version 2: the engine cache of one target.

    What the file repeats of the cache key (arch, versions, builder) is derived from it, so it can't disagree.

    Attributes:
        cache_key: The published name of the cache.
        engine_files: At least one file, by name.
        toolchain: Exact version of each library that decided the bytes; None where the manifest does not say.

    Raises:
        ManifestError: A value is not of that form, or the toolchain or a precision is not the cache key's.
    """

    cache_key: CacheKey
    engine_files: Mapping[str, EngineFile]
    toolchain: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        fields.check_names("engine_files", self.engine_files, vocabulary.FILE_NAME)
        if self.toolchain is not None:
            _check_toolchain(self.toolchain, self.cache_key)
        for name, file in self.engine_files.items():
            _check_precision(name, file, self.cache_key)

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
        """Read a manifest.

        Raises:
            ManifestError: It breaks the format, or contradicts its own cache key.
        """
        data = fields.parse_object(text, format_version=2)
        manifest = cls(
            cache_key=fields.read_cache_key(data),
            engine_files=fields.entries(data, "engine_files", EngineFile._from_dict),
            toolchain=fields.strings(data, "toolchain") if "toolchain" in data else None,
        )
        for key, value in manifest._derived().items():
            if key != "builder" or key in data:  # the published manifests name no builder
                fields.confirm(data, key, value, why="as in the cache key")
        return manifest

    def to_json(self) -> str:
        """Return the manifest as text."""
        toolchain = {} if self.toolchain is None else {"toolchain": dict(sorted(self.toolchain.items()))}
        files = {name: file._to_dict() for name, file in sorted(self.engine_files.items())}
        head = {"cache_key": str(self.cache_key), "format_version": 2}
        return fields.dump({**head, **self._derived(), **toolchain, "engine_files": files})

    def _derived(self) -> fields.Object:
        key, versions = self.cache_key, dict(self.cache_key.versions)
        libraries = {"trt_version": versions.get("tensorrt"), "ort_version": versions.get("onnxruntime")}
        return {"gpu_arch": key.arch, **libraries, "builder": key.builder}


def _check_toolchain(toolchain: Mapping[str, str], key: CacheKey) -> None:
    """Check the form of each library and version, and that the cache key's have its major and minor."""
    fields.check_names("toolchain", toolchain, vocabulary.LIBRARY)
    for library, version in toolchain.items():
        fields.check_form(fields.path_of("toolchain", library), version, vocabulary.VERSION)
    for library, declared in key.versions:
        exact = toolchain.get(library, "no such library")
        if exact.split(".")[:2] != declared.split("."):
            where = fields.path_of("toolchain", library)
            raise ManifestError(where, f"expected {declared}, as in the cache key, seen {exact}")


def _check_precision(name: str, file: EngineFile, key: CacheKey) -> None:
    """Check that a model's file has the cache key's precision, and that of a CPU's engines the key says bf16."""
    where = f"{fields.path_of('engine_files', name)}.precision"
    if key.precision is not None and file.onnx_model is not None and file.precision != key.precision:
        seen = fields.shown(file.precision) if file.precision else "no such key"
        raise ManifestError(where, f"expected {key.precision}, as in the cache key, seen {seen}")
    if key.builder == "openvino" and key.precision is None and file.precision == "bf16":
        raise ManifestError(where, f'expected a cache key that ends in _bf16, seen "{key}"')
