"""All documents on where a publication comes from, by published path."""

from collections.abc import Mapping

from morphstream.artifact.manifest import ArchivesManifest, EngineManifest, ModelEntry, ModelsManifest
from stages.params import Params
from stages.provenance.bom import BOM, bom
from stages.provenance.inputs import Inputs
from stages.provenance.notice import NOTICE, notice
from stages.provenance.statement import statement, statement_path


def documents_of(
    params: Params,
    models: ModelsManifest | None,
    archives: ArchivesManifest | None,
    caches: Mapping[str, EngineManifest],
    inputs: Inputs,
    made: Mapping[str, str | None],
) -> dict[str, str]:
    """Return the documents as text.

    Args:
        params: Choices that ours were made by.
        models: The models that are published; None for none.
        archives: The archives.
        caches: Engine caches by cache key.
        inputs: What ours were made from.
        made: Archives of ours, each with the published commit that it was merged with, or None. Those of others keep
            the statements of their publishers.
    """
    listed, packed = (models.models if models else {}), (archives.archives if archives else {})
    texts = {BOM: bom(params, models, archives, caches, inputs), NOTICE: notice(params, models, inputs)}
    for name, commit in made.items():
        entry = packed[name]
        cache = caches.get(str(entry.cache_key))
        held: dict[str, ModelEntry] = {
            model: one
            for model, one in listed.items()
            if one.file in entry.files or (cache is not None and model in cache.models)
        }
        texts[statement_path(name)] = statement(name, entry, params, held, inputs, merged_with=commit)
    return texts
