"""The origins that params.yaml names, as one: each model comes from its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.origin.folder import FolderOrigin, folder_of_user
from stages.origin.hub import HubOrigin
from stages.origin.kit import KitOrigin
from stages.origin.origin import Origin
from stages.params import Model, Params
from stages.workspace import Workspace


@dataclass(frozen=True, slots=True)
class NamedOrigins:
    """Asks the origin of each model."""

    params: Params
    origins: Mapping[str, Origin]

    def declared(self, model: Model) -> dict[str, object]:
        """Return what its origin declares of a model."""
        return self._of(model).declared(model)

    def holds(self, model: Model, path: Path) -> bool:
        """Return whether a file is known to be what a model's origin has of it."""
        return self._of(model).holds(model, path)

    def fetch(self, models: Sequence[Model], workspace: Workspace) -> None:
        """Bring the files of models from their origins."""
        for origin in self.origins.values():
            if own := [model for model in models if self._of(model) is origin]:
                origin.fetch(own, workspace)

    def _of(self, model: Model) -> Origin:
        return self.origins[self.params.origin_of(model)]


def origin_of(params: Params, folder: Path | None = None) -> Origin:
    """Return the origins that params.yaml names.

    Args:
        params: Names them.
        folder: Where the files of the origin ``folder`` are; None for where the environment says.
    """
    own = FolderOrigin(folder or folder_of_user())
    return NamedOrigins(params, {"kit": KitOrigin(), "hub": HubOrigin(params.hub), "folder": own})
