"""The origin that params.yaml names."""

from stages.origin.hub import HubOrigin
from stages.origin.kit import KitOrigin
from stages.origin.origin import Origin
from stages.params import Params


def origin_of(params: Params) -> Origin:
    """Return the origin of a pipeline's models."""
    match params.origin:
        case "kit":
            return KitOrigin()
        case "hub":
            return HubOrigin(params.hub)
