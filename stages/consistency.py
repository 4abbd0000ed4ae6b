"""Checks of params.yaml that concern several of its entries at once."""

from typing import TYPE_CHECKING

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.fields import check_form, path_of
from stages.bounds import ARCHIVE, check_unique
from stages.exclusive import built_alone

if TYPE_CHECKING:
    from stages.params import Model, Params


def check_names(params: "Params") -> None:
    """Check that what is published or run under a name has it alone."""
    for name in params.model_archives:
        check_form(path_of("model_archives", name), name, ARCHIVE)
    models, builds = params.models.items(), params.builds.items()
    archives = [(path_of("model_archives", name), name) for name in params.model_archives]
    check_unique("an archive", [*archives, *((path_of("build_targets", name), b.archive) for name, b in builds)])
    check_unique("a cache key", [(path_of("build_targets", name), build.cache_key) for name, build in builds])
    check_unique("a file", [(path_of("models", name), model.file) for name, model in models])
    pairs = [(target, model) for target in built_alone(params) for model in params.models]
    check_unique(
        "a stage of DVC", [(f"{target} with {model}", f"gpu_engine@{target}-{model}") for target, model in pairs]
    )


def check_delivery(params: "Params", model: "Model") -> None:
    """Check that a model is in an archive of models exactly where it is baked."""
    holding = [name for name, groups in params.model_archives.items() if model.group in groups]
    if len(holding) != (model.delivery == "baked"):
        expected = "expected baked for a model whose group one of model_archives holds, else another"
        seen = f"seen {model.delivery}, and the group {model.group} in {' and '.join(holding) or 'none'}"
        raise ManifestError(path_of("models", model.name, "delivery"), f"{expected}, {seen}")
