"""Write a stage's outputs beside their place and move them in when they are complete."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUILD = Path("build")
MODELS, PREPARED, ENGINES = BUILD / "models", BUILD / "prepared", BUILD / "engines"
CACHES, ARCHIVES, MANIFESTS = BUILD / "trt_cache", BUILD / "archives", BUILD / "manifests"


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` when the block ends well, and is gone otherwise.

    Raises:
        OSError: A folder can't be written.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is never seen half-written.

    Raises:
        OSError: It can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
