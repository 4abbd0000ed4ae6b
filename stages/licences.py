"""Under which licences the models are, and which of them may be published for everybody."""

from stages.params import Params


def licences_of(params: Params) -> dict[str, str]:
    """Return the licence of each model's weights, by model."""
    return {name: model.licence for name, model in params.models.items()}


def private_models(params: Params) -> dict[str, str]:
    """Return the licence of each model that a private repository alone may have; stand-ins hold no such weights."""
    return {
        name: model.licence
        for name, model in params.models.items()
        if model.redistribution == "forbidden" and params.origin_of(model) != "kit"
    }
