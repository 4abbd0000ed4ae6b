"""Pictures, and a folder to run commands in."""

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from stages.kit.detector import solvay
from tests.cli import OLD
from tests.face import astronaut_bgr
from tests.stages import DOWNLOADS


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures: ``source.png``, ``group.jpg``, and some that won't do."""
    folder = tmp_path_factory.mktemp("photos")
    cv2.imwrite(str(folder / "source.png"), astronaut_bgr())
    cv2.imwrite(str(folder / "nobody.png"), np.full((300, 400, 3), 90, np.uint8))
    (folder / "group.jpg").write_bytes(solvay(DOWNLOADS))
    (folder / "cut.jpg").write_bytes(solvay(DOWNLOADS)[:100_000])
    (folder / "text.png").write_text("no picture")
    return folder


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    """Have what a command logs no longer than a test, as other tests look at what is logged without it."""
    log = logging.getLogger("morphstream")
    before = log.level
    yield
    log.setLevel(before)


@pytest.fixture
def here(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in, with links to the photos and an old ``out.png``."""
    for path in photos.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "out.png").write_bytes(OLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MORPHSTREAM_STORE", raising=False)
    monkeypatch.delenv("MORPHSTREAM_SOURCE", raising=False)
    return tmp_path
