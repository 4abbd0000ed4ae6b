"""The origin that params.yaml names."""

from stages.origin.hub import HubOrigin
from stages.origin.kit import KitOrigin
from stages.origin.origin import Origin
from stages.params import Params


def origin_of(params: Params) -> Origin:
    """Return the origin that params.yaml names."""
    return HubOrigin(params.hub) if params.origin == "hub" else KitOrigin()
