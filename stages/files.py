"""Write a stage's outputs beside their place and move them in when they are complete."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUILD = Path("build")
MODELS, PREPARED, ENGINES = BUILD / "models", BUILD / "prepared", BUILD / "engines"
CACHES, ARCHIVES, MANIFESTS = BUILD / "trt_cache", BUILD / "archives", BUILD / "manifests"
TIMING = BUILD / "timing"  # what builders measured on this machine, no stage's output


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` when the block ends well, and is gone otherwise.

    A run that is killed leaves the old folder or the new one, whole, for the next to begin with.

    Raises:
        OSError: A folder can't be written.
    """
    part, old = (folder.with_name(f".{folder.name}.{word}") for word in ("part", "old"))
    if old.exists() and not folder.exists():
        old.rename(folder)  # a run was killed between the two renames below
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
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
