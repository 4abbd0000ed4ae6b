"""Models on demand: add a model's engine to a store, and evict the least recently used where room is needed."""

from dataclasses import dataclass, replace
from functools import partial

from morphstream.artifact.errors import NoEngineError
from morphstream.artifact.manifest import EngineManifest
from morphstream.artifact.vocabulary import BAKED_GROUPS
from morphstream.source.fetch import fetch_engines
from morphstream.source.publication import read_manifest
from morphstream.source.source import Source
from morphstream.source.transfer import Cancellable, Transfer
from morphstream.store.installed import Installed
from morphstream.store.store import Store
from morphstream.store.transaction import StoreTransaction


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
    store: Store, model: str, source: Source, *, budget_bytes: int | None = None, transfer: Transfer | None = None
) -> Added:
    """Add the engine of a model to what a store holds, and make room for it; on any error nothing changes.

    The result is a generation of its own, with links to the files that were there: readers continue with theirs, which
    stays on the disk until they release it. While an engine is fetched, what will be evicted for it is still there.

    Args:
        store: A booted one.
        model: Its name, such as ``hyperswap_1a_256``.
        source: Gives the published manifest of the store's cache key, and the files.
        budget_bytes: Limit for all engines of the store together. To keep it, models are evicted that are in no group
            of ``BAKED_GROUPS``, the least recently used first. None for no limit.
        transfer: Counts the bytes that have come, and may be cancelled.

    Raises:
        NoEngineError: The store is empty, the source has no engine of the model, or the budget no room for it.
        ManifestError: The manifest breaks its format, names no digests or is of another key.
        FetchError: The source can't give the manifest, or a file.
        DigestMismatchError: A file has other bytes than the manifest says.
        TimeoutError: Another process changes the store for too long.
        CancelledError: The transfer is cancelled.
        OSError: The store can't be written; the message says why, and what to do.
    """
    transfer = transfer or Transfer()
    added = Added(model=model, is_new=False)
    if model not in store.current().models:
        with store.transaction(transfer.pause) as transaction:
            added = _add(store, transaction, model, Cancellable(source, transfer), budget_bytes, transfer)
    store.usage.touch(model)
    return added


def _add(
    store: Store,
    transaction: StoreTransaction,
    model: str,
    source: Source,
    budget_bytes: int | None,
    transfer: Transfer,
) -> Added:
    current = transaction.current or store.current()  # which raises why there is none
    if model in current.models:  # another process was faster
        return Added(model=model, is_new=False)
    published = read_manifest(source, current.cache_key).manifest
    manifest, evicted = _make_room(store, _with_model(current, published, model, source), model, budget_bytes)
    added = tuple(sorted({*current.added, model} - {*evicted}))
    selection = replace(current, manifest=manifest, text=manifest.to_json().encode(), added=added)
    fetch = partial(fetch_engines, source, current.cache_key, transfer=transfer)
    transaction.switch(transaction.assemble(selection, fetch), selection)
    for other in evicted:
        store.usage.forget(other)
    return Added(model=model, is_new=True, evicted=evicted)


def _with_model(current: Installed, published: EngineManifest, model: str, source: Source) -> EngineManifest:
    """Return the manifest of what is installed, with a published model added."""
    if not (files := published.files_of(model)):
        expected = f"{model}: expected an engine for {current.cache_key} at {source}"
        raise NoEngineError(f"{expected}, seen those of {', '.join(published.models)}; name one of these or publish it")
    return replace(current.manifest, engine_files={**current.manifest.engine_files, **files})


def _make_room(
    store: Store, manifest: EngineManifest, wanted: str, budget_bytes: int | None
) -> tuple[EngineManifest, tuple[str, ...]]:
    """Return a manifest that keeps a budget, and the models that were evicted for it."""
    evicted = list[str]()
    groups = manifest.models.items()
    others = store.usage.order(model for model, group in groups if group not in BAKED_GROUPS and model != wanted)
    while budget_bytes is not None:
        total = sum(digest.bytes for digest in manifest.digests.values())
        if total <= budget_bytes:
            break
        if not others:
            expected = f"{wanted}: expected room for it in a budget of {budget_bytes} bytes"
            raise NoEngineError(f"{expected}, seen {total} bytes that have to stay; raise the budget")
        evicted.append(others.pop(0))
        manifest = replace(manifest, engine_files=manifest.files_where(lambda file: file.onnx_model not in evicted))
    return manifest, tuple(evicted)
