"""A record in a folder of what the folder was made of, by which a stage keeps what is there instead of making it again."""

import json
from collections.abc import Mapping
from pathlib import Path

from morphstream.artifact.digest import digest_of_file
from stages.files import write_json

_RECORD = "made_of.json"


def is_made_of(folder: Path, of: Mapping[str, object]) -> bool:
    """Return whether a folder has exactly the files that were made of these things, each with the bytes it had."""
    try:
        record = json.loads((folder / _RECORD).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(record == {"made_of": json.loads(json.dumps(of)), "files": files_of(folder)})


def record_made_of(folder: Path, of: Mapping[str, object]) -> None:
    """Record of what the files of a folder were made; until then the folder counts as not made."""
    write_json(folder / _RECORD, {"made_of": of, "files": files_of(folder)})


def files_of(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a folder, but for its record."""
    paths = (path for path in sorted(folder.iterdir()) if path.name != _RECORD)
    return {path.name: str(digest_of_file(path)) for path in paths}
