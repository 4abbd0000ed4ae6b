"""The origin `kit`: stand-ins that are built here, and a detector out of a package; anybody may see them."""

from collections.abc import Sequence
from pathlib import Path

from morphstream.artifact.digest import digest_of, digest_of_file
from morphstream.artifact.errors import FetchError
from stages.files import write_whole
from stages.origin.keep import check_replaceable
from stages.params import Model
from stages.workspace import Workspace


class KitOrigin:
    """Builds models anew each time, which takes no longer than comparing them."""

    is_confidential = False

    def declared(self, model: Model) -> dict[str, object]:
        """Return the file that a model is built as."""
        return {"origin": "kit", "file": model.file}

    def holds(self, model: Model, path: Path) -> bool:  # noqa: ARG002 - of the Protocol
        """Return False: a model is known by building it again."""
        return False

    def fetch(self, models: Sequence[Model], workspace: Workspace) -> None:
        """Build models, or take the detector out of its package."""
        from stages.kit import BUILT, kit_model  # here, as building models imports onnx

        for model in models:
            if model.name not in {"det_10g", *BUILT}:
                expected = f"{model.name}: expected a model of the kit, seen none"
                raise FetchError(f"{expected}; set its origin to hub, or to folder for your own file")
            data, path = kit_model(model.name, workspace.downloads), workspace.build / model.file
            if not path.is_file() or digest_of_file(path) != digest_of(data):
                check_replaceable(model, path, workspace)
                write_whole(path, data)
