"""Models on demand: add a model's engine to a store, and evict the least recently used where room is needed."""

from dataclasses import dataclass, replace
from functools import partial

from morphstream.artifact.errors import NoEngineError
from morphstream.artifact.manifest import EngineManifest
from morphstream.source.fetch import fetch_engines
from morphstream.source.publication import Publication
from morphstream.source.source import Source
from morphstream.source.transfer import Cancellable, Transfer
from morphstream.store.installed import Installed, Selection
from morphstream.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What adding a model did: its engine was fetched or was there already, and these models had to go for it."""

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
        budget_bytes: Limit for all engines of the store together. To keep it, models are evicted that come on demand,
            as the manifest says, the least recently used first. None for no limit.
        transfer: Counts the bytes that have come, and may be cancelled, which raises CancelledError.
    """
    transfer = transfer or Transfer()
    added = Added(model=model, is_new=False)
    if model not in store.current().models:
        with store.transaction(transfer.pause) as transaction:
            current = transaction.current or store.current()  # which raises why there is none
            if model not in current.models:  # else another process was faster
                source = Cancellable(source, transfer)
                selection, evicted = _select(store, current, model, source, budget_bytes)
                fetch = partial(fetch_engines, source, current.cache_key, transfer=transfer)
                transaction.switch(transaction.assemble(selection, fetch), selection)
                added = Added(model=model, is_new=True, evicted=evicted)
                for other in evicted:
                    store.usage.forget(other)
    store.usage.touch(model)
    return added


def _select(
    store: Store, current: Installed, model: str, source: Source, budget_bytes: int | None
) -> tuple[Selection, tuple[str, ...]]:
    """Return what a store holds with a published model added, and the models that are evicted to keep a budget."""
    publication, evicted = Publication(source, trust=store.trust()), list[str]()
    published = publication.manifest(current.cache_key).manifest
    if not (files := published.files_of(model)):
        expected = f"{model}: expected an engine for {current.cache_key} at {source}"
        raise NoEngineError(f"{expected}, seen those of {', '.join(published.models)}; name one of these or publish it")
    manifest = replace(current.manifest, engine_files={**current.manifest.engine_files, **files})
    on_demand = {file.onnx_model for file in manifest.files_where(lambda file: file.is_on_demand).values()}
    others = store.usage.order(other for other in manifest.models if other in on_demand and other != model)
    while budget_bytes is not None and (total := _size(manifest)) > budget_bytes:
        if not others:
            expected = f"{model}: expected room for it in a budget of {budget_bytes} bytes"
            raise NoEngineError(f"{expected}, seen {total} bytes that have to stay; raise the budget")
        evicted.append(others.pop(0))
        manifest = replace(manifest, engine_files=manifest.files_where(lambda file: file.onnx_model not in evicted))
    added = tuple(sorted({*current.added, model} - {*evicted}))
    is_trusted = current.is_trusted and publication.is_signed
    text = manifest.to_json().encode()
    return replace(current, manifest=manifest, text=text, added=added, is_trusted=is_trusted), tuple(evicted)


def _size(manifest: EngineManifest) -> int:
    return sum(digest.bytes for digest in manifest.digests.values())
