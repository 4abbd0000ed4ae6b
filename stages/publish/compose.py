"""From what build/ holds and what is published to the publication: merged manifests, their files, and the card."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import ManifestError, MorphstreamError
from morphstream.artifact.fields import path_of
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest, EngineManifest, ModelsManifest
from morphstream.artifact.vocabulary import ARCHIVES, MODELS, archive_path, cache_path
from stages.adopt import KINDS
from stages.caches import read_cache
from stages.files import write_whole
from stages.hub.download import download, is_there
from stages.hub.repository import Content, Held, Repository
from stages.pack import pack_archive
from stages.params import Params
from stages.provenance.documents import documents_of
from stages.provenance.inputs import Inputs
from stages.provenance.statement import statement_path
from stages.publish.card import CARD, card
from stages.publish.local import Local
from stages.publish.merge import merge, named_files, read_manifest
from stages.publish.plan import Plan, Tip
from stages.sign.publisher import Publisher, check_unsigned


class IncompleteError(MorphstreamError):
    """What is published lacks a file that it names; or the listing is older than the tip, which passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """Composes publications of the same things, on top of one tip or another.

    Attributes:
        build: The folder with our files, which mirrors the repository.
        folder: For archives that are packed anew, and what is downloaded for them.
        params: What decides an archive's bytes, and what the card shows beyond the manifests.
        local: What is to be published.
        repository: Where the engines and models of others are.
        inputs: What our archives were made from, beside models; None where that is unknown, and nothing says it.
        publisher: Signs what is published; None where nothing is signed.
        dropped: Models whose published entries and files aren't kept.
    """

    build: Path
    folder: Path
    params: Params
    local: Local
    repository: Repository
    inputs: Inputs | None
    publisher: Publisher | None
    dropped: Collection[str] = ()

    def compose(self, tip: Tip) -> Plan:
        """Return the publication on top of a tip: every manifest in it is complete.

        Raises:
            IncompleteError: A published manifest names a file that isn't there.
        """
        if self.publisher is None:
            check_unsigned(tip)
            return self._unsigned(tip)
        tip = self.publisher.verified(tip)
        plan = self._unsigned(tip)
        return Plan.of(tip, {**plan.files, **self.publisher.files(tip, plan.files, plan.deleted)}, plan.deleted)

    def _unsigned(self, tip: Tip) -> Plan:
        """Return the publication without its signatures."""
        texts: dict[str, str] = {}
        files: dict[str, Content] = {}
        deleted: set[str] = set()
        for path, ours in self.local.manifests.items():
            with _published(path):
                texts[path] = merge(tip.read(path), ours, self.dropped)
            named = named_files(path, read_manifest(path, texts[path]))
            for file, digest in named_files(path, ours).items():
                if digest and digest == named[file]:
                    files[file] = Content(digest, (self.build / file).resolve())  # DVC may link to its cache
            deleted |= self._obsolete(path, tip).difference(named)
        _check_whole(texts, _tree(tip, files, deleted))  # before archives are packed from it
        made: dict[str, tuple[ArchiveEntry, Path]] = {}
        if self.local.archives:
            made = {name: self._packed(name, entry, texts, tip) for name, entry in self.local.archives.items()}
            ours = ArchivesManifest(archives={name: entry for name, (entry, _) in made.items()})
            with _published(ARCHIVES):
                texts[ARCHIVES] = merge(tip.read(ARCHIVES), ours)
            files |= {archive_path(name): Content(entry.digest, path) for name, (entry, path) in made.items()}
        models, archives = _listings(texts, tip)
        deleted |= _obsolete_statements(tip, archives)
        files |= {path: Content.of_text(text) for path, text in texts.items()}
        for path, text in self._documents(texts, tip, models, archives, made).items():
            files[path] = Content.of_text(text)
        tree = _tree(tip, files, deleted)
        _check_whole(texts, tree)
        files[CARD] = Content.of_text(card(self.params, models, archives, tree))
        return Plan.of(tip, files, tuple(sorted(deleted)))

    def _documents(
        self,
        texts: Mapping[str, str],
        tip: Tip,
        models: ModelsManifest | None,
        archives: ArchivesManifest | None,
        made: Mapping[str, tuple[ArchiveEntry, Path]],
    ) -> dict[str, str]:
        """Return what says where the publication comes from, by path; nothing where that is unknown."""
        if self.inputs is None:
            return {}
        merged = {
            name: tip.commit if entry != self.local.archives[name] else None
            for name, (entry, _) in made.items()
            if not _is_stated(name, entry, tip)
        }
        caches = dict(self._caches(texts, tip, archives))
        return documents_of(self.params, models, archives, caches, self.inputs, merged)

    def _caches(
        self, texts: Mapping[str, str], tip: Tip, archives: ArchivesManifest | None
    ) -> Iterator[tuple[str, EngineManifest]]:
        """Yield each engine cache of an archive as it will be published, by cache key."""
        for entry in archives.archives.values() if archives else ():
            if entry.cache_key:
                path = f"{cache_path(entry.cache_key)}/manifest.json"
                if text := texts.get(path) or tip.read(path):
                    with _published(path):
                        yield str(entry.cache_key), EngineManifest.from_json(text)

    def _obsolete(self, manifest: str, tip: Tip) -> set[str]:
        """Return files that are published and needn't be: of dropped models, or engines and the like of a cache."""
        if manifest == MODELS:
            published = tip.read(MODELS)
            theirs = ModelsManifest.from_json(published).models if published else {}
            return {theirs[name].file for name in self.dropped if name in theirs}.intersection(tip.held)
        folder = manifest.removesuffix("manifest.json")
        return {path for path in tip.held if path.startswith(folder) and PurePosixPath(path).suffix in KINDS}

    def _packed(self, name: str, ours: ArchiveEntry, texts: Mapping[str, str], tip: Tip) -> tuple[ArchiveEntry, Path]:
        """Return an archive of ours and where it is; packed anew where it should hold more, or less."""
        wanted = ours.files
        if (groups := self.params.model_archives.get(name.removesuffix(".tar.zst"))) is not None:
            wanted = self._baked(groups, ours, texts, tip)
        elif ours.cache_key is not None:
            wanted = self._cached(f"{cache_path(ours.cache_key)}/manifest.json", texts, tip)
        if wanted == ours.files:
            return ours, (self.build / archive_path(name)).resolve()
        sources = {}
        for path, digest in wanted.items():
            source = self.build / path
            if not is_there(source, digest):
                source = self.folder / path
                download(self.repository.source(tip.commit), path, digest, source)  # unless it is there
            sources[path] = source.resolve()
        target = self.folder / name
        return pack_archive(sources, target, self.params.archive, ours.cache_key), target

    def _baked(
        self, groups: Collection[str], ours: ArchiveEntry, texts: Mapping[str, str], tip: Tip
    ) -> dict[str, Digest]:
        """Return the models of groups as they will be published; our archive's too where none is published with it."""
        text = texts.get(MODELS) or tip.read(MODELS)
        models = ModelsManifest.from_json(text).models if text else {}
        baked = [model for name, model in models.items() if model.group in groups and name not in self.dropped]
        published = {model.file: model.digest for model in baked}
        return published if MODELS in texts else {**published, **ours.files}

    def _cached(self, manifest: str, texts: Mapping[str, str], tip: Tip) -> dict[str, Digest]:
        """Return the files of a cache as it will be published; its manifest is written for the archive."""
        ours = self.build / manifest
        text = texts.get(manifest) or merge(tip.read(manifest), read_cache(ours.parent), self.dropped)
        write_whole(self.folder / manifest, text.encode())
        wanted = {manifest: digest_of(text.encode())}
        for path, digest in named_files(manifest, read_manifest(manifest, text)).items():
            if digest is None:
                where = path_of("engine_files", PurePosixPath(path).name)
                remedy = "run `python -m stages.index --adopt` on that cache and publish it first"
                raise ManifestError(where, f"{manifest}: expected a digest, seen none; {remedy}")
            wanted[path] = digest
        return wanted


@contextmanager
def _published(path: str) -> Iterator[None]:
    """Name the published manifest in the faults of a block."""
    try:
        yield
    except ManifestError as error:
        remedy = "correct it in the repository"
        raise ManifestError(error.where, f"published {path}: {error.message}; {remedy}") from None


def _obsolete_statements(tip: Tip, archives: ArchivesManifest | None) -> set[str]:
    """Return the published statements of archives that aren't published any more."""
    named = {statement_path(name) for name in (archives.archives if archives else ())}
    return {path for path in tip.held if path.endswith(".intoto.json")} - named


def _is_stated(name: str, entry: ArchiveEntry, tip: Tip) -> bool:
    """Return whether an archive is published already, with a statement of what it was made of: that one stays."""
    if statement_path(name) not in tip.held or not (text := tip.read(ARCHIVES)):
        return False
    published = ArchivesManifest.from_json(text).archives.get(name)
    return published is not None and published.digest == entry.digest


def _tree(tip: Tip, files: Mapping[str, Content], deleted: Collection[str]) -> dict[str, Held]:
    """Return what each path holds once the publication is made."""
    ours = {path: content.digest for path, content in files.items()}
    kept = {path: held for path, held in tip.held.items() if path not in deleted}
    return kept | {path: Held(bytes=new.bytes, sha256=new.sha256, blob="") for path, new in ours.items()}


def _listings(texts: Mapping[str, str], tip: Tip) -> tuple[ModelsManifest | None, ArchivesManifest | None]:
    """Read the manifests of models and archives as they will be published; None where there will be none."""
    models, archives = (texts.get(path) or tip.read(path) for path in (MODELS, ARCHIVES))
    with _published(MODELS):
        listed = ModelsManifest.from_json(models) if models else None
    with _published(ARCHIVES):
        return listed, ArchivesManifest.from_json(archives) if archives else None


def _check_whole(texts: Mapping[str, str], tree: Mapping[str, Held]) -> None:
    """Check that all that manifests name is there, with its digest where that is known."""
    for manifest, text in texts.items():
        for path, digest in named_files(manifest, read_manifest(manifest, text)).items():
            held = tree.get(path)
            if held is None or (digest and (held.bytes, held.sha256 or digest.sha256) != (digest.bytes, digest.sha256)):
                expected = f"expected {path} with {digest or 'any bytes'}"
                seen = "none" if held is None else f"sha256 {held.sha256} ({held.bytes} bytes)"
                remedy = "publish it, or remove its model with --drop"
                raise IncompleteError(f"{manifest}: {expected}, seen {seen}; {remedy}")
