"""From what build/ holds and what is published to the publication: merged manifests, their files, and the card."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import ManifestError, MorphstreamError
from morphstream.artifact.listings import ArchivesManifest, ModelsManifest
from morphstream.artifact.manifest import EngineFile, EngineManifest
from morphstream.artifact.vocabulary import archive_path, cache_path
from stages.adopt import KINDS
from stages.hub.repository import Content, Held
from stages.params import Params
from stages.publish.archives import Packer
from stages.publish.card import CARD, card
from stages.publish.local import Local
from stages.publish.merge import merge_archives, merge_engines, merge_models
from stages.publish.plan import ARCHIVES, MODELS, Plan, Tip


class IncompleteError(MorphstreamError):
    """What is published lacks a file that it names; or the listing is older than the tip, which passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """Composes publications of the same things, on top of one tip or another.

    Attributes:
        params: What the card shows beyond the manifests.
        local: What is to be published.
        packer: Packs archives anew that should hold more than ours do.
        dropped: Models whose published entries and files aren't kept.
    """

    params: Params
    local: Local
    packer: Packer
    dropped: Collection[str] = ()

    def compose(self, tip: Tip) -> Plan:
        """Return the publication on top of a tip: every manifest in it is complete.

        Raises:
            IncompleteError: A published manifest names a file that isn't there.
        """
        texts: dict[str, str] = {}
        files: dict[str, Content] = {}
        deleted: set[str] = set()
        if self.local.models:
            with _published(MODELS):
                texts[MODELS] = merge_models(tip.read(MODELS), self.local.models, self.dropped)
            files |= {model.file: self._built(model.file, model.digest) for model in self.local.models.models.values()}
            deleted |= set(self._dropped_files(tip, texts[MODELS]))
        for key, manifest in self.local.caches.items():
            path = f"{cache_path(key)}/manifest.json"
            with _published(path):
                texts[path] = merge_engines(tip.read(path), manifest, self.dropped)
            named = {f"{cache_path(key)}/{name}": file for name, file in _engines(texts[path]).items()}
            own = {f"{cache_path(key)}/{name}": file.digest for name, file in manifest.engine_files.items()}
            files |= {name: self._built(name, one) for name, one in own.items() if one and named[name].digest == one}
            held = {held for held in tip.held if held.startswith(f"{cache_path(key)}/")}
            deleted |= {
                held for held in held - set(named) if PurePosixPath(held).suffix in KINDS
            }  # the rest isn't ours
        _check_whole(texts, _tree(tip, files, deleted))  # before archives are packed from it
        if self.local.archives:
            packed = self.packer.pack(self.local.archives, texts, tip, self.dropped)
            ours = ArchivesManifest(archives={name: archive.entry for name, archive in packed.items()})
            with _published(ARCHIVES):
                texts[ARCHIVES] = merge_archives(tip.read(ARCHIVES), ours)
            files |= {archive_path(name): Content(made.entry.digest, made.path) for name, made in packed.items()}
        files |= {path: Content.of_text(text) for path, text in texts.items()}
        tree = _tree(tip, files, deleted)
        _check_whole(texts, tree)
        files[CARD] = Content.of_text(card(self.params, *_listings(texts, tip), tree))
        return Plan.of(tip, files, tuple(sorted(deleted)))

    def _built(self, path: str, digest: Digest) -> Content:
        return Content(digest, (self.packer.build / path).resolve())  # DVC may link to its cache

    def _dropped_files(self, tip: Tip, merged: str) -> Iterator[str]:
        """Yield the files of models that are dropped, where no other model has the same."""
        published = tip.read(MODELS)
        theirs = ModelsManifest.from_json(published).models if published else {}
        named = {model.file for model in ModelsManifest.from_json(merged).models.values()}
        for name in self.dropped:
            if name in theirs and theirs[name].file in set(tip.held) - named:
                yield theirs[name].file


@contextmanager
def _published(path: str) -> Iterator[None]:
    """Name the published manifest in the faults of a block."""
    try:
        yield
    except ManifestError as error:
        remedy = "correct it in the repository"
        raise ManifestError(error.where, f"published {path}: {error.message}; {remedy}") from None


def _engines(text: str) -> Mapping[str, EngineFile]:
    return EngineManifest.from_json(text).engine_files


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
    """Check that all that manifests name is there, with its digest where that is known.

    Raises:
        IncompleteError: It is not.
    """
    for manifest, text in texts.items():
        for path, digest in _named(manifest, text):
            held = tree.get(path)
            if held is None or (digest and (held.bytes, held.sha256 or digest.sha256) != (digest.bytes, digest.sha256)):
                expected = f"expected {path} with {digest or 'any bytes'}"
                seen = "none" if held is None else f"sha256 {held.sha256} ({held.bytes} bytes)"
                remedy = "publish it, or remove its model with --drop"
                raise IncompleteError(f"{manifest}: {expected}, seen {seen}; {remedy}")


def _named(manifest: str, text: str) -> Iterator[tuple[str, Digest | None]]:
    if manifest == MODELS:
        yield from ((model.file, model.digest) for model in ModelsManifest.from_json(text).models.values())
    elif manifest == ARCHIVES:
        archives = ArchivesManifest.from_json(text).archives
        yield from ((archive_path(name), archive.digest) for name, archive in archives.items())
    else:
        folder = manifest.rpartition("/")[0]
        yield from ((f"{folder}/{name}", file.digest) for name, file in _engines(text).items())
