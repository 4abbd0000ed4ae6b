"""The swap models that a page offers: those of the store, and those that its sources publish."""

import logging
from collections.abc import Mapping, Sequence
from threading import Thread

from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.artifact.manifest import EngineManifest
from morphstream.source.publication import Publication
from morphstream.source.source import Source
from morphstream.store.store import Store

_log = logging.getLogger("morphstream.live")


class PageModels:
    """The names of swap models, each with whether the store has it; what sources publish is read in the background."""

    def __init__(self, store: Store, sources: Sequence[Source]) -> None:
        """Begin to read what the sources publish for the engine cache of a booted store."""
        self._store, self._sources, self._published = store, sources, frozenset[str]()
        Thread(target=self._read, name="morphstream-published", daemon=True).start()

    def __call__(self) -> Mapping[str, bool]:
        """Return the names in order; errors as of `Store.current`."""
        own = _swap_models(self._store.current().manifest)
        return {name: name in own for name in sorted(own | self._published)}

    def _read(self) -> None:
        for source in self._sources:
            try:
                publication = Publication(source, trust=self._store.trust())
                published = publication.manifest(self._store.current().cache_key).manifest
            except (MorphstreamError, OSError) as error:
                _log.info("%s; the page offers the models of the store", message_of(error))
            else:
                self._published |= _swap_models(published)


def _swap_models(manifest: EngineManifest) -> frozenset[str]:
    files = manifest.engine_files.values()
    return frozenset(file.onnx_model for file in files if file.served_role == "swapper" and file.onnx_model)
