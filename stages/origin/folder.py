"""The origin `folder`: files that a person has, in a folder of theirs, by their published paths or names."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import DigestMismatchError, FetchError, MorphstreamError
from stages.origin.keep import check_replaceable
from stages.params import Model
from stages.workspace import Workspace

VARIABLE = "MORPHSTREAM_MODELS"
_MOST_FILES = 100_000  # in a folder of models; a whole disk has more


@dataclass(frozen=True, slots=True)
class FolderOrigin:
    """Copies pinned models out of a folder; None where nobody says which."""

    folder: Path | None

    def declared(self, model: Model) -> dict[str, object]:
        """Return a model's pins."""
        return {"origin": "folder", "file": model.file, "sha256": model.sha256, "bytes": model.bytes}

    def holds(self, model: Model, path: Path) -> bool:
        """Return whether a file has the pinned digest of a model."""
        pin = _pin_of(model)
        return path.is_file() and path.stat().st_size == pin.bytes and digest_of_file(path) == pin

    def fetch(self, models: Sequence[Model], workspace: Workspace) -> None:
        """Copy the models that aren't in ``build`` as they are pinned; one that fails doesn't stop the others."""
        errors = []
        for model in models:
            try:
                target = workspace.build / model.file
                if not self.holds(model, target) or leads_out(target):
                    self._bring(model, target, workspace)
            except (MorphstreamError, OSError) as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _bring(self, model: Model, target: Path, workspace: Workspace) -> None:
        from stages.origin.own_file import copy_verified, whole_file  # here, as onnx takes long to load

        pin = _pin_of(model)
        if self.folder is None:
            what = f"models.{model.name}: expected the folder with {Path(model.file).name}, which is your own file"
            raise FetchError(f"{what}, seen none; set {VARIABLE} to it, or run: python -m stages.fetch --from FOLDER")
        if not self.holds(model, target):
            check_replaceable(model, target, workspace)
        found = candidates(self.folder, model, pin.bytes)
        for source in found:
            with whole_file(source, workspace.downloads) as whole, suppress(DigestMismatchError):
                if whole.stat().st_size == pin.bytes:
                    copy_verified(whole, target, pin)
                    return
        seen = f"{found[0]} with other bytes" if found else "none"
        remedy = "name the right folder, or pin what it has: python -m stages.fetch --pin FOLDER"
        raise FetchError(f"{self.folder}: expected {model.file} with {pin} there, seen {seen}; {remedy}")


def folder_of_user() -> Path | None:
    """Return the folder that the environment names; None where it names none."""
    return Path(text).expanduser() if (text := os.environ.get(VARIABLE, "")) else None


def candidates(folder: Path, model: Model, size: int | None = None) -> list[Path]:
    """Return the files of a folder that may be a model's: those of its name, else the ONNX files of its size."""
    name, files = Path(model.file).name, list_files(folder)
    published = folder / model.file
    named = sorted((path for path in files if path.name == name), key=lambda path: (path != published, path))
    return named or [path for path in files if path.suffix == ".onnx" and size and _size_of(path) == size]


def list_files(folder: Path) -> list[Path]:
    """Return every file in a folder and the folders below it, in order."""
    if not folder.is_dir():
        raise FetchError(f"{folder}: expected the folder of your own models, seen no folder; name another")
    found: list[Path] = []
    for above, folders, names in os.walk(folder):
        folders.sort()
        found += (Path(above) / name for name in sorted(names))
        if len(found) > _MOST_FILES:
            raise FetchError(f"{folder}: expected a folder of models, seen more than {_MOST_FILES} files; name another")
    return found


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def leads_out(path: Path) -> bool:
    """Return whether a file is a link, but for one into DVC's cache."""
    return path.is_symlink() and path.resolve().parts[-4:-2] != ("files", "md5")


def _pin_of(model: Model) -> Digest:
    if model.pin is None:
        expected = f"models.{model.name}: expected sha256 and bytes in params.yaml, seen null"
        raise FetchError(f"{expected}; run: python -m stages.fetch --pin FOLDER, and review what it writes")
    return model.pin
