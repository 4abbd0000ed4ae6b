"""Code that is published to be deployed, and the folder it is deployed into."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from morphstream.artifact.archive import pack
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest
from tests.store.conftest import CPU, publish, read_archives, write_archives

CODE = "deploy/develop/app_code.tar.zst"


def publish_code(root: Path, text: str, files: Mapping[str, str] | None = None) -> ArchiveEntry:
    """Publish code that prints a text, beside what else is published there."""
    written = {"app/__init__.py": "", "app/__main__.py": f"print({text!r})\n", **(files or {})}
    sources = {}
    for number, (name, data) in enumerate(written.items()):
        sources[name] = root / "code" / str(number)
        sources[name].parent.mkdir(parents=True, exist_ok=True)
        sources[name].write_text(data)
    archive = root / CODE
    archive.parent.mkdir(parents=True, exist_ok=True)
    made = pack(sources, archive, level=1, threads=1)
    entry = ArchiveEntry(digest=made.archive, tar_digest=made.tar, cache_key=None, files=made.files)
    others = read_archives(root).archives if (root / "manifests/archives.json").exists() else {}
    write_archives(root, ArchivesManifest(archives={**others, CODE: entry}))
    return entry


def release_of(app: Path) -> str:
    """Return what the code of the current release prints, as it stands in the file."""
    return (app / "current/app/__main__.py").read_text()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A published layout with engines for this CPU, and code that prints `one`."""
    root = publish(tmp_path / "published", CPU)
    publish_code(root, "one")
    return root


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Where releases go; nothing is there."""
    return tmp_path / "app"
