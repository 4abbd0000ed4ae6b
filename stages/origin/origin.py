"""What the stages ask of an origin."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from stages.params import Model
from stages.workspace import Workspace


class Origin(Protocol):
    """Where models come from."""

    def declared(self, model: Model) -> dict[str, object]:
        """Return what decides the bytes of a model's file, beside the pipeline's source."""
        ...

    def holds(self, model: Model, path: Path) -> bool:
        """Return whether a file is known to be what the origin has of a model, so that it needn't be fetched.

        Raises:
            FetchError: The model has no pin.
            OSError: The file can't be read.
        """
        ...

    def fetch(self, models: Sequence[Model], workspace: Workspace) -> None:
        """Bring the files of models to a workspace's ``build``, byte for byte; those that it holds stay.

        Raises:
            MorphstreamError: The origin lacks one or refuses, or its bytes are others.
            OSError: One can't be written.
        """
        ...
