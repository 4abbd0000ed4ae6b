"""Checks of params.yaml that concern several of its entries at once."""

from typing import TYPE_CHECKING

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.fields import check_form, path_of, shown
from stages.bounds import ARCHIVE, NAME, check_unique

if TYPE_CHECKING:
    from stages.params import Model, Params


def check_names(params: "Params") -> None:
    """Check that what is published or run under a name has it alone."""
    if not params.models:
        raise ManifestError("models", "expected at least one entry, seen none")
    used = {model.group for model in params.models.values()}
    for name, groups in params.model_archives.items():
        where = path_of("model_archives", name)
        check_form(where, name, ARCHIVE)
        for group in groups:
            check_form(where, group, NAME)
        if len({*groups}) != len(groups) or used.isdisjoint(groups):
            expected = "expected groups, each once, at least one of them that of a model"
            raise ManifestError(where, f"{expected}, seen {shown(' '.join(groups))}")
    models, builds = params.models.items(), params.builds.items()
    archives = [(path_of("model_archives", name), name) for name in params.model_archives]
    check_unique("an archive", [*archives, *((path_of("build_targets", name), b.archive) for name, b in builds)])
    check_unique("a cache key", [(path_of("build_targets", name), build.cache_key) for name, build in builds])
    check_unique("a file", [(path_of("models", name), model.file) for name, model in models])
    check_unique("a name", [(path_of("models", name), name) for name in params.models])
    check_unique("a name", [(path_of("targets", name), name) for name in params.targets])
    pairs = [(f"{target} with {model}", f"{target}-{model}") for target in params.builds for model in params.models]
    check_unique("a name in DVC", pairs)  # of which only those that need their own GPU are stages


def check_delivery(params: "Params", model: "Model") -> None:
    """Check that a model is in an archive of models exactly where it is baked."""
    holding = [name for name, groups in params.model_archives.items() if model.group in groups]
    if len(holding) != (model.delivery == "baked"):
        expected = "expected baked for a model whose group one of model_archives holds, else another"
        seen = f"seen {model.delivery}, and the group {model.group} in {' and '.join(holding) or 'none'}"
        raise ManifestError(path_of("models", model.name, "delivery"), f"{expected}, {seen}")
