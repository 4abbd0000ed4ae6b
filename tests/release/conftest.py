"""The packages of this checkout."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from tests.face import astronaut_bgr

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Packages:
    """A wheel and a source distribution."""

    wheel: Path
    sdist: Path


def build(source: Path, folder: Path, *kinds: str) -> Path:
    """Build packages of a project into a folder, as the project's own build backend does it."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    command += [word for kind in kinds for word in ("--target", kind)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """What a release has of this checkout."""
    folder = build(ROOT, tmp_path_factory.mktemp("packages"), "wheel", "sdist")
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Packages(wheel, sdist)


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo with one face."""
    path = tmp_path_factory.mktemp("picture") / "source.png"
    cv2.imwrite(str(path), astronaut_bgr())
    return path
