"""The digest of the pipeline's own source: what decides a result beside its inputs and params.yaml."""

import hashlib
from pathlib import Path

from morphstream.artifact import errors
from morphstream.artifact.regular_file import read_regular
from morphstream.artifact.target import Target

_ROOT = Path(__file__).parent
_MOST_BYTES = 1 << 20  # of a file of source


def source_digest(*names: str, root: Path = _ROOT) -> str:
    """Return the sha256 over files of stages/, or another root, and over the Python files of folders there."""
    sha256 = hashlib.sha256()
    for name in names:
        path = root / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            sha256.update(f"stages/{file.relative_to(root).as_posix()} {file.stat().st_size}\n".encode())
            sha256.update(read_regular(file, _MOST_BYTES))
    return sha256.hexdigest()


def builder_files(target: Target) -> list[str]:
    """Return the files of stages/ that decide the bytes of a target's engines."""
    parts = ["__init__", "order", target.builder, *(["ep_context"] if target.builder != "openvino" else [])]
    return [f"builders/{part}.py" for part in parts]


def builder_source(target: Target, root: Path = _ROOT) -> str:
    """Return the digest of the source that decides a target's engines; it is part of their recipes."""
    return source_digest(*builder_files(target), root=root)


def session_source() -> str:
    """Return the digest of the runtime's sessions, by which `check` runs engines."""
    return source_digest("session", root=Path(errors.__file__).parents[1])
