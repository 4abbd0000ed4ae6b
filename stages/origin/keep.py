"""Which files of build/ an origin may replace: those that can be had again. A person's own file stays."""

from hashlib import md5
from pathlib import Path

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import FetchError
from stages.params import Model
from stages.workspace import Workspace


def check_replaceable(model: Model, path: Path, workspace: Workspace) -> None:
    """Check that no file is in a model's place, or one that the kit builds or DVC's cache has."""
    if path.exists() and not path.is_file():
        raise FetchError(f"{path}: expected a file or none, seen something else; move it away")
    if not path.exists() or _is_of_kit(model, path) or _is_cached(path, workspace.root):
        return
    seen = f"another file, which neither the kit nor DVC's cache has and may be your own: {digest_of_file(path)}"
    remedy = f"to use it, run: python -m stages.fetch {model.name} --pin {workspace.build}; else move it away"
    if model.pin == digest_of_file(path):
        seen, remedy = "the file that params.yaml pins", f"set models.{model.name}.origin to folder, or move it away"
    raise FetchError(f"{path}: expected no file, or one that can be had again, seen {seen}; {remedy}")


def _is_of_kit(model: Model, path: Path) -> bool:
    from stages.kit import digest_of_kit_model  # here, as building models imports onnx

    expected = digest_of_kit_model(model.name)
    return expected is not None and path.stat().st_size == expected.bytes and digest_of_file(path) == expected


def _is_cached(path: Path, root: Path) -> bool:
    """Return whether DVC's cache has a file's bytes."""
    if not (root / ".dvc").is_dir():
        return False
    from dvc.repo import Repo  # here, as it takes long to load, and a machine that builds at boot has none

    with path.open("rb") as file:
        digest = md5(usedforsecurity=False)
        while data := file.read(1 << 20):
            digest.update(data)
    with Repo(str(root)) as repo:
        return Path(repo.cache.local.oid_to_path(digest.hexdigest())).is_file()
