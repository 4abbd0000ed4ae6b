"""Pin a person's own files: write digests and sizes into params.yaml, and that these models come from a folder."""

import shlex
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from morphstream.artifact.digest import Digest, digest_of_file
from morphstream.artifact.errors import FetchError
from stages.origin.folder import VARIABLE, candidates
from stages.origin.own_file import digest_of_own, whole_file
from stages.params import Model, Params
from stages.params_file import Keys, edit_params
from stages.surgery.contract import check_contract
from stages.surgery.emap import emap_of
from stages.surgery.read import read_model
from stages.workspace import Workspace


def pin_own(params: Params, workspace: Workspace, folder: Path, names: Collection[str]) -> str:
    """Pin the models that a folder has, some by name or all, and return the difference, to be reviewed.

    A file is found by its published path or its name, and must keep the contract of its model's role. Models that
    aren't there are named, and left as they are.

    Raises:
        FetchError: There is none, or two files of one name have different bytes.
        ModelError: One breaks the contract.
    """
    models = [params.model(name) for name in names] or list(params.models.values())
    pins: dict[str, Digest] = {}
    for model in models:
        if (source := _find(folder, model)) is not None:
            with checked_file(source, model, workspace) as (_, digest):
                pins[model.name] = digest
    missing = [model for model in models if model.name not in pins]
    if not pins or (names and missing):
        raise FetchError(
            f"{folder}: expected {', '.join(Path(model.file).name for model in missing)} there, seen none; "
            "name them so, or add one under a name of its own: python -m stages.add NAME FILE"
        )

    values: dict[Keys, object] = {}
    for name, pinned in pins.items():
        origin = {} if params.origin_of(params.model(name)) == "folder" else {"origin": "folder"}
        values |= {("models", name, key): value for key, value in {**asdict(pinned), **origin}.items()}
    lines = [
        edit_params(workspace.params, values) or f"{workspace.params.name}: the pins are those of {folder} already"
    ]
    if missing:
        lines.append(f"not there, and left as they are: {', '.join(model.name for model in missing)}")
    return "\n".join([*lines, f"next: {VARIABLE}={shlex.quote(str(folder))} dvc repro"])


@contextmanager
def checked_file(source: Path, model: Model, workspace: Workspace) -> Iterator[tuple[Path, Digest]]:
    """Give a plain file with the whole of a model, which keeps its role's contract, and its digest."""
    with whole_file(source, workspace.downloads) as whole:
        digest = digest_of_file(whole)
        original = read_model(whole)
        check_contract(original, model)
        emap_of(original, model)
        yield whole, digest


def _find(folder: Path, model: Model) -> Path | None:
    """Return the file of a model in a folder; None where there is none."""
    found = candidates(folder, model)
    if len({digest_of_own(path) for path in found}) > 1:
        seen = " and ".join(str(path) for path in found[:3])
        raise FetchError(f"{model.name}: expected one file, seen {seen} with different bytes; leave one there")
    return found[0] if found else None
