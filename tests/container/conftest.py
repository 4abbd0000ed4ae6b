"""Code that is published to be deployed, the folder it is deployed into, and what stands for a container."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

from morphstream.artifact.archive import pack
from morphstream.artifact.manifest import ArchiveEntry, ArchivesManifest
from tests.store.conftest import CPU, publish, read_archives, write_archives

ENTRYPOINT = Path(__file__).parents[2] / "container/entrypoint.sh"
TOOLS = f"{Path(sys.executable).parent}:/usr/bin:/bin"
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
    return (app / "current/code/app/__main__.py").read_text()


class Container:
    """What an image and a run of it give the entry point: a few variables, a home, a volume."""

    def __init__(self, folder: Path, code: Path) -> None:
        self.folder, self.state, self.app = folder, folder / "state", folder / "state/app"
        self.state.mkdir()
        self.environment = {
            "PATH": TOOLS,
            "HOME": str(folder),
            "MORPHSTREAM_STORE": str(self.state / "store"),
            "MORPHSTREAM_APP": str(self.app),
            "MORPHSTREAM_SOURCE": str(code),
            "MORPHSTREAM_TARGET": "cpu",
            "MORPHSTREAM_BOOT_REPORT": str(folder / "boot.json"),
        }

    def with_(self, **environment: str) -> Self:
        """Set variables."""
        self.environment |= environment
        return self

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start it."""
        return subprocess.Popen(
            [ENTRYPOINT, *command],
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        process = self.start(*command)
        said, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, said, errors)


def steps_of(errors: str) -> list[str]:
    """Return what the entry point said of its steps, without the seconds."""
    lines = re.findall(r"^entrypoint: (.*)$", errors, re.MULTILINE)
    return [re.sub(r" [0-9]+\.[0-9]{2} s:", ":", line) for line in lines]


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


@pytest.fixture
def container(tmp_path: Path, code: Path) -> Container:
    return Container(tmp_path, code)
