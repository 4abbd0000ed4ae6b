"""The origin `kit`: stand-ins that are built here, and a detector out of a package; anybody may see them."""

from collections.abc import Sequence
from pathlib import Path

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import FetchError
from stages.files import locked, new_folder, write_whole
from stages.made import is_recorded, record_made_of
from stages.origin.keep import check_replaceable
from stages.params import Model
from stages.source import source_digest
from stages.workspace import Workspace


class KitOrigin:
    """Builds the kit's models once for all stages of a run, each of which would load onnx to build its own."""

    def declared(self, model: Model) -> dict[str, object]:
        """Return the file that a model is built as."""
        return {"origin": "kit", "file": model.file}

    def holds(self, model: Model, path: Path) -> bool:  # noqa: ARG002 - of the Protocol
        """Return False: a model is known by building it again."""
        return False

    def fetch(self, models: Sequence[Model], workspace: Workspace) -> None:
        """Build models, or take the detector out of its package."""
        for model in models:
            source, path = _kept(model.name, workspace), workspace.build / model.file
            if not path.is_file() or digest_of_file(path) != digest_of_file(source):
                check_replaceable(model, path, workspace)
                write_whole(path, source.read_bytes())


def _kept(name: str, workspace: Workspace) -> Path:
    """Return the file of a model among those that this source built, which are built if they aren't there."""
    folder = workspace.downloads / f"kit-{source_digest('kit')[:16]}" / ("detector" if name == "det_10g" else "built")
    if not is_recorded(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_suffix(".lock")):  # the farm fetches several at once
            _build(folder, workspace)
    if not (path := folder / f"{name}.onnx").is_file():
        expected = f"{name}: expected a model of the kit, seen none"
        raise FetchError(f"{expected}; set its origin to hub, or to folder for your own file")
    return path


def _build(folder: Path, workspace: Workspace) -> None:
    if is_recorded(folder):  # by another process meanwhile
        return
    from stages.kit import BUILT, kit_model  # here, as it imports onnx

    with new_folder(folder) as part:
        for name in ["det_10g"] if folder.name == "detector" else BUILT:
            (part / f"{name}.onnx").write_bytes(kit_model(name, workspace.downloads))
        record_made_of(part, {})
