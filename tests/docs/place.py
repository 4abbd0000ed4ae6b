"""Make the folder that a reader of the docs has after `make demo`, with pictures and clips of their own beside it."""

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2

from bench.clips import clip, write_clip
from morphstream.frame import Frame
from stages.photos import solvay
from tests.face import astronaut_bgr
from tests.stages import DOWNLOADS

_ASTRONAUT = ("source.png", "alice.jpg", "a1.jpg", "a2.jpg", "a3.jpg", "a.png", "c.jpg", "build/demo/source.png")
_GROUP = ("group.jpg", "target.jpg", "friends.jpg", "holiday/one.jpg", "more/two.jpg", "build/demo/target.jpg")
_OTHERS = {"bob.jpg": 1899, "ref.png": 1899, "b.png": 2152, "me.jpg": 2152}  # columns of their noses in the photo
_ROWS, _COLUMNS = slice(820, 1320), slice(540, 1330)  # of the photo, with a few people
_NOT_PUBLISHED = shutil.ignore_patterns("engines", "prepared", "timing")


def make_place(folder: Path, published: Path, store: Path) -> None:
    """Make a folder with ``build`` and ``store``, and with the pictures and videos that the docs name."""
    folder.mkdir()
    shutil.copytree(store, folder / "store", ignore=shutil.ignore_patterns("graphs"))
    shutil.copytree(published, folder / "build", ignore=_NOT_PUBLISHED)
    shutil.copy(folder / "build/archives/cpu.tar.zst", folder / "build/archives/cpu-cache-x86_64.tar.zst")
    for name in ("original.onnx", "simplified.onnx"):
        shutil.copy(folder / "build/models/inswapper_128.onnx", folder / name)
    add_pictures(folder)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").write_text("# what runs the tests is active\n", "utf-8")


def add_pictures(folder: Path) -> None:
    """Add the pictures and videos that the docs name to a folder."""
    for name, frame in _pictures():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), frame)
    add_clip(folder)
    shutil.copy(folder / "clip.mp4", folder / "in.mp4")


def add_clip(folder: Path) -> None:
    """Add a video of eight seconds and frames."""
    write_clip(clip("cross", (640, 360), 8), folder / "clip.mp4", rate=Fraction(1))


def _pictures() -> Iterator[tuple[str, Frame]]:
    photo = solvay(DOWNLOADS)
    yield from ((name, astronaut_bgr()) for name in _ASTRONAUT)
    yield from ((name, photo[_ROWS, _COLUMNS]) for name in _GROUP)
    yield from ((name, photo[1050:1350, nose - 150 : nose + 150]) for name, nose in _OTHERS.items())
