"""How large models, engines and archives are, as their manifests say."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from morphstream.artifact.manifest import ArchivesManifest, EngineManifest, ModelEntry, ModelsManifest
from morphstream.artifact.regular_file import read_regular
from morphstream.source.source import SMALL_BYTES_MAX
from stages.caches import read_cache
from stages.params import Params
from stages.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TargetSize:
    """The bytes of a target's engines, by model."""

    name: str
    engines: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSize:
    """An archive: its own bytes, and those of what is in it.

    Attributes:
        name: Its file's.
        cache_key: Of the engines in it; empty where it holds models.
        bytes: To download.
        content_bytes: Of the files in it.
    """

    name: str
    cache_key: str
    bytes: int
    content_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is published.

    Attributes:
        models: By name.
        targets: Those that are built.
        archives: In the order of their manifest.
        origins: Where models come from.
    """

    models: Mapping[str, ModelEntry]
    targets: Sequence[TargetSize]
    archives: Sequence[ArchiveSize]
    origins: Collection[str]

    @property
    def models_bytes(self) -> int:
        """Bytes of all models."""
        return sum(model.digest.bytes for model in self.models.values())

    @property
    def most(self) -> int:
        """Bytes of the largest archive's content."""
        return max(archive.content_bytes for archive in self.archives)


def read_sizes(params: Params, workspace: Workspace) -> Sizes:
    """Read the sizes of what a workspace built.

    Raises:
        ManifestError: A manifest isn't one.
        OSError: One can't be read.
    """
    models = ModelsManifest.from_json(read_regular(workspace.manifests / "models.json", SMALL_BYTES_MAX))
    archives = ArchivesManifest.from_json(read_regular(workspace.manifests / "archives.json", SMALL_BYTES_MAX))
    return Sizes(
        models=models.models,
        targets=[
            TargetSize(name, _engine_bytes(read_cache(workspace.caches / build.cache_key)))
            for name, build in params.builds.items()
        ],
        archives=[
            ArchiveSize(
                name=name,
                cache_key=str(entry.cache_key or ""),
                bytes=entry.digest.bytes,
                content_bytes=sum(digest.bytes for digest in entry.files.values()),
            )
            for name, entry in archives.archives.items()
        ],
        origins={model.origin or models.origin for model in models.models.values()},
    )


def _engine_bytes(cache: EngineManifest) -> dict[str, int]:
    """Return the bytes of each model's engine; of files that models share, those of their group."""
    sizes: dict[str, int] = {}
    for file in cache.engine_files.values():
        name = file.onnx_model or file.group
        sizes[name] = sizes.get(name, 0) + (file.digest.bytes if file.digest else 0)
    return sizes
