"""Archives that hold all that is published: ours of build/, or packed anew with what others published."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.archive import pack
from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import ManifestError
from morphstream.artifact.listings import ArchiveEntry, ModelsManifest
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import archive_path, cache_path
from stages.caches import read_cache
from stages.files import write_whole
from stages.hub.download import download, is_there
from stages.hub.repository import Repository
from stages.pack import MODELS_ARCHIVE, THREADS, check_zstandard
from stages.params import ArchiveOptions
from stages.publish.merge import merge_engines
from stages.publish.plan import MODELS, Tip


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive to publish: what it is, and where it is."""

    entry: ArchiveEntry
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Packer:
    """Packs archives anew, in a folder of its own, with files of build/ and of the repository.

    Attributes:
        build: The folder with our files, which mirrors the repository.
        repository: Where the engines and models of others are.
        options: What decides an archive's bytes.
        folder: For what is downloaded and packed.
    """

    build: Path
    repository: Repository
    options: ArchiveOptions
    folder: Path

    def pack(
        self, archives: Mapping[str, ArchiveEntry], texts: Mapping[str, str], tip: Tip, dropped: Collection[str]
    ) -> dict[str, Archive]:
        """Return each archive with all that is published of its cache, or of the models baked into images.

        Args:
            archives: Ours, by name.
            texts: The manifests that are published with them, by path.
            tip: What they are published on top of.
            dropped: Models whose published engines aren't kept.
        """
        made = {}
        for name, entry in archives.items():
            wanted, text = dict(entry.files), None
            if name == f"{MODELS_ARCHIVE}.tar.zst":
                wanted = _baked(texts, tip, dropped, wanted)
            elif entry.cache_key is not None:
                wanted, text = _cached(self.build, entry.cache_key, texts, tip, dropped)
            if wanted == entry.files:
                made[name] = Archive(entry, (self.build / archive_path(name)).resolve())
            else:
                made[name] = self._pack_anew(name, entry.cache_key, wanted, text, tip.commit)
        return made

    def _pack_anew(
        self, name: str, key: CacheKey | None, wanted: Mapping[str, Digest], text: str | None, commit: str
    ) -> Archive:
        check_zstandard(self.options)
        sources = {}
        for path, digest in wanted.items():
            source = self.build / path
            if not is_there(source, digest):
                source = self.folder / path
                if text is not None and digest == digest_of(text.encode()):
                    write_whole(source, text.encode())
                else:
                    download(self.repository.source(commit), path, digest, source)
            sources[path] = source.resolve()
        target = self.folder / name
        made = pack(sources, target, level=self.options.level, threads=THREADS)
        return Archive(ArchiveEntry(digest=made.archive, tar_digest=made.tar, cache_key=key, files=made.files), target)


def _baked(
    texts: Mapping[str, str], tip: Tip, dropped: Collection[str], ours: Mapping[str, Digest]
) -> dict[str, Digest]:
    """Return the baked models as they will be published; ours of the archive where no model is published with it."""
    text = texts.get(MODELS) or tip.read(MODELS)
    models = ModelsManifest.from_json(text).models if text else {}
    baked = {name: model for name, model in models.items() if model.delivery == "baked" and name not in dropped}
    published = {model.file: model.digest for model in baked.values()}
    return published if MODELS in texts else {**published, **ours}


def _cached(
    build: Path, key: CacheKey, texts: Mapping[str, str], tip: Tip, dropped: Collection[str]
) -> tuple[dict[str, Digest], str]:
    """Return the files of a cache as it will be published, and the text of its manifest."""
    folder = cache_path(key)
    path = f"{folder}/manifest.json"
    text = texts.get(path)
    if text is None:
        text = merge_engines(tip.read(path), read_cache(build / folder), dropped)
    wanted = {path: digest_of(text.encode())}
    for name, file in EngineManifest.from_json(text).engine_files.items():
        if file.digest is None:
            remedy = "run `python -m stages.index --adopt` on that cache and publish it first"
            raise ManifestError(f"engine_files['{name}']", f"{path}: expected a digest, seen none; {remedy}")
        wanted[f"{folder}/{name}"] = file.digest
    return wanted, text
