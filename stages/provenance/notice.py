"""The notice of a publication: under which licences its models are, and the libraries that it was made with."""

from collections.abc import Iterator, Mapping

from morphstream.artifact.manifest import ModelEntry, ModelsManifest
from stages.params import Params
from stages.provenance.inputs import Inputs

NOTICE = "NOTICE"


def notice(params: Params, models: ModelsManifest | None, inputs: Inputs) -> str:
    """Return the notice as plain text."""
    return "\n".join([*_models(params, models.models if models else {}, models), *_libraries(inputs), ""])


def _models(params: Params, entries: Mapping[str, ModelEntry], models: ModelsManifest | None) -> Iterator[str]:
    yield "MorphStream Models"
    yield ""
    yield "The code of the pipeline is under the MIT licence. Each model, and every engine that was made of it, is"
    yield "under the licence of the model's weights. Swap only faces of people who agreed to it, and mark what comes"
    yield "out as synthetic."
    yield ""
    yield "Models"
    yield ""
    for name, entry in sorted(entries.items()):
        yield f"{name} ({entry.file}): {entry.licence}{_rule(params, name)}"
    if models and models.origin == "kit":
        yield ""
        yield "These models are stand-ins that were made by code, but for a detector; the licences are those of the"
        yield "weights that they stand for."


def _rule(params: Params, name: str) -> str:
    is_forbidden = name in params.models and params.models[name].redistribution == "forbidden"
    return "; may not be given to others" if is_forbidden else ""


def _libraries(inputs: Inputs) -> Iterator[str]:
    yield ""
    yield "Libraries that the engines and archives were made with"
    yield ""
    for library in inputs.libraries:
        yield f"{library.name} {library.version}: {library.licence or 'see its package'}"
