"""Models on demand: add a model's engine to a store, and evict what was used least recently where room is needed."""

from dataclasses import dataclass, replace
from functools import partial

from morphstream.artifact.errors import NoEngineError
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.vocabulary import BAKED_GROUPS
from morphstream.source.fetch import fetch_engines
from morphstream.source.publication import read_manifest
from morphstream.source.source import Source
from morphstream.source.transfer import Cancellable, Transfer
from morphstream.store.store import Installed, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What adding a model did.

    Attributes:
        model: Its name.
        is_new: Its engine was fetched; False where it was there already.
        evicted: Models whose engines had to go.
    """

    model: str
    is_new: bool
    evicted: tuple[str, ...] = ()

    def __str__(self) -> str:
        gone = f", evicted {', '.join(self.evicted)}" if self.evicted else ""
        return f"{self.model} {'fetched' if self.is_new else 'was there already'}{gone}"


def add_model(
    store: Store,
    model: str,
    source: Source,
    *,
    budget_bytes: int | None = None,
    transfer: Transfer | None = None,
) -> Added:
    """Add the engine of a model to what a store holds, and make room for it; on any error nothing changes.

    It becomes a generation of its own, with links to the files that were there: readers go on with theirs, and what
    they hold is on the disk until they let it go. While an engine comes, what is evicted for it is still there.

    Args:
        store: A booted one.
        model: Such as ``hyperswap_1a_256``.
        source: Gives the published manifest of the store's cache key, and the files.
        budget_bytes: Of all engines in the store together; to keep it, models are evicted that are in no group of
            ``BAKED_GROUPS``, the least recently used first. None for as much as the volume has.
        transfer: Says how far it is, and may be cancelled.

    Raises:
        NoEngineError: The store holds nothing, the source has no engine of the model, or the budget no room for it.
        ManifestError: The manifest breaks its format, names no digests or is of another key.
        FetchError: The source can't give the manifest, or a file.
        DigestMismatchError: A file holds other bytes than the manifest says.
        TimeoutError: Another process changes the store for too long.
        CancelledError: The transfer is cancelled.
        OSError: The store can't be written; says why, and what to do.
    """
    if model in store.current().models:
        store.usage.touch(model)
        return Added(model=model, is_new=False)
    transfer = transfer or Transfer()
    source = Cancellable(source, transfer)
    with store.changing(transfer.pause) as change:
        held = change.held or store.current()  # which says why there is none
        if model in held.models:  # another process was faster
            return Added(model=model, is_new=False)
        published = read_manifest(source, held.cache_key).manifest
        manifest, evicted = _with_room(store, _added(held, published, model, source), model, budget_bytes)
        fetch = partial(fetch_engines, source, held.cache_key, transfer=transfer)
        folder = change.assemble(manifest, fetch=fetch)
        added = sorted({*held.added, model} - {*evicted})
        change.switch(
            folder, archive=held.archive, base=held.base, key=held.cache_key, is_whole=held.is_whole, added=added
        )
        store.usage.touch(model)
        for gone in evicted:
            store.usage.forget(gone)
    return Added(model=model, is_new=True, evicted=evicted)


def _added(held: Installed, published: EngineManifest, model: str, source: Source) -> EngineManifest:
    """Return the manifest of what is held and a model."""
    files = {name: file for name, file in published.engine_files.items() if file.onnx_model == model}
    if not files:
        seen = ", ".join(sorted({file.onnx_model for file in published.engine_files.values() if file.onnx_model}))
        expected = f"{model}: expected an engine for {held.cache_key} at {source}"
        raise NoEngineError(f"{expected}, seen those of {seen}; name one of these or publish it")
    return replace(held.manifest, engine_files={**held.manifest.engine_files, **files})


def _with_room(
    store: Store, manifest: EngineManifest, wanted: str, budget_bytes: int | None
) -> tuple[EngineManifest, tuple[str, ...]]:
    """Return a manifest that keeps a budget, and the models that had to go."""
    evicted = list[str]()
    groups = {file.onnx_model: file.group for file in manifest.engine_files.values() if file.onnx_model}
    able = store.usage.order(model for model, group in groups.items() if group not in BAKED_GROUPS and model != wanted)
    while budget_bytes is not None:
        total = sum(digest.bytes for digest in manifest.digests.values())
        if total <= budget_bytes:
            break
        if not able:
            expected = f"{wanted}: expected room for it in a budget of {budget_bytes} bytes"
            raise NoEngineError(f"{expected}, seen {total} bytes that have to stay; raise the budget")
        evicted.append(able.pop(0))
        files = {name: file for name, file in manifest.engine_files.items() if file.onnx_model != evicted[-1]}
        manifest = replace(manifest, engine_files=files)
    return manifest, tuple(evicted)
