"""DVC's cache of a workspace, read without DVC: where it keeps content, and what of it is damaged.

Source: DVC's documentation, "Structure of the cache directory", of version 3.
"""

import configparser
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from morphstream.artifact.regular_file import open_regular, read_regular
from morphstream.source.source import SMALL_BYTES_MAX
from stages.lock import read_locks
from stages.workspace import Workspace


def cached_file(workspace: Workspace, md5: str) -> Path:
    """Return where the cache keeps content with a digest, as dvc.lock has it; of a folder, the list of its files."""
    settings, here = configparser.ConfigParser(interpolation=None), workspace.root / ".dvc"
    settings.read([here / "config", here / "config.local"])
    return here / settings.get("cache", "dir", fallback="cache") / "files/md5" / md5[:2] / md5[2:]


def cached_folder(workspace: Workspace, md5: str) -> dict[str, Path]:
    """Return where the cache keeps the files of a folder, by their paths there.

    Raises:
        OSError, ValueError, KeyError, TypeError: It has no such folder.
    """
    listing = json.loads(read_regular(cached_file(workspace, md5), SMALL_BYTES_MAX))
    return {entry["relpath"]: cached_file(workspace, entry["md5"]) for entry in listing}


def damaged_files(workspace: Workspace) -> Iterator[Path]:
    """Yield the files of the cache that dvc.lock names and that have other content than their names say.

    DVC brings them into the workspace as if they were good, and keeps them when the content is made again.
    """
    for stage in read_locks(workspace).values():
        for out in stage.get("outs", ()):
            md5 = out.get("md5", "")
            try:
                inside = cached_folder(workspace, md5).values() if md5.endswith(".dir") else ()
            except (ValueError, KeyError, TypeError):
                inside = ()  # the list is damaged, which the next lines find
            except OSError:
                continue
            for path in (cached_file(workspace, md5), *inside):
                name = (path.parent.name + path.name).removesuffix(".dir")
                if path.is_file() and name != md5_of(path):
                    yield path


def md5_of(path: Path) -> str:
    """Return the digest by which the cache names content."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
