"""Folders with a record of what they were made of, by which a stage takes them from DVC's cache instead of making them.

DVC removes all outputs of a stage that it runs, and its run cache knows a stage's inputs as a whole: where one stage
makes several folders, a change that concerns one of them would make all of them again.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import ManifestError
from stages.dvc_cache import cached_folder
from stages.files import new_folder, read_json, write_json
from stages.workspace import Workspace

_RECORD = "made_of.json"


def is_made_of(folder: Path, of: Mapping[str, object]) -> bool:
    """Return whether a folder has exactly the files that were made of these things, each with the bytes it had."""
    return is_recorded(folder) and read_json(folder / _RECORD)["made_of"] == json.loads(json.dumps(of))


def is_recorded(folder: Path) -> bool:
    """Return whether a folder has exactly the files that its record names, each with the bytes it had."""
    try:
        record = read_json(folder / _RECORD)
        return record.keys() == {"made_of", "files"} and bool(record["files"] == files_of(folder))
    except (OSError, ManifestError):
        return False


def record_made_of(folder: Path, of: Mapping[str, object]) -> None:
    """Record of what the files of a folder were made; until then the folder counts as not made."""
    write_json(folder / _RECORD, {"made_of": of, "files": files_of(folder)})


def recorded_files(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a folder, as its record has them."""
    return dict(read_json(folder / _RECORD)["files"])


def files_of(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a folder, but for its record."""
    paths = (path for path in sorted(folder.iterdir()) if path.name != _RECORD)
    return {path.name: str(digest_of_file(path)) for path in paths}


def take_from_cache(workspace: Workspace, locked: Mapping[str, Any], folder: Path, of: Mapping[str, object]) -> bool:
    """Return whether DVC's cache has a folder, in the output that a stage's entry in dvc.lock names; place it.

    What is in its place already, made of these things, stays there.
    """
    if is_made_of(folder, of):
        return True
    try:
        outs = {out["path"]: out.get("md5", "") for out in locked.get("outs", ())}
        (out,) = (path for path in outs if folder.is_relative_to(workspace.root / path))
        files = {workspace.root / out / name: path for name, path in cached_folder(workspace, outs[out]).items()}
        with new_folder(folder) as part:
            for name, path in files.items():
                if name.parent == folder:
                    shutil.copyfile(path, part / name.name)
    except (OSError, ValueError, KeyError, TypeError):  # it has none, or only a part of it
        return False
    return is_made_of(folder, of)
