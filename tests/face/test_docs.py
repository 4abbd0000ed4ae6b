"""The Python of docs/videos.md runs as it is written."""

import re
from pathlib import Path
from queue import Queue

import cv2
import numpy as np
import pytest

from morphstream.frame import Frame
from morphstream.store.store import Store
from tests.media.video.films import content_of, write_film

PROGRAMS = re.findall(r"```python\n(.*?)```", Path("docs/videos.md").read_text("utf-8"), re.DOTALL)


@pytest.fixture
def folder(booted: Store, astronaut: Frame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store, two pictures and a video, where programs run."""
    (tmp_path / "store").symlink_to(booted.path.absolute())
    for name, picture in (("alice", astronaut), ("bob", np.fliplr(astronaut))):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), np.ascontiguousarray(picture))
    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    write_film(tmp_path / "clip.mp4", count=3, size_wh=(256, 256), frame_of=lambda *_: np.asarray(small, np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_video_is_swapped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(PROGRAMS[0], {})  # noqa: S102  # our own
    assert capsys.readouterr().out.startswith("3 of 3 frames swapped")
    assert len(content_of(folder / "out.mp4").times) == 3


@pytest.mark.usefixtures("folder")
def test_a_worker_gets_its_frames_back_in_order_each_with_its_time(astronaut: Frame) -> None:
    frames = [np.roll(astronaut, shift, axis=1) for shift in (0, 2, 4)]
    encoded = list[tuple[Frame, float]]()

    def decode(frames_of: Queue[tuple[Frame, float] | None]) -> None:
        for index, frame in enumerate(frames):
            frames_of.put((frame, index / 25))
        frames_of.put(None)

    yours = {"decode": decode, "encode": lambda frame, seconds: encoded.append((frame, seconds))}
    exec(PROGRAMS[1], yours)  # noqa: S102  # our own
    assert [seconds for _, seconds in encoded] == [0, 0.04, 0.08]
    for frame, (swapped, _) in zip(frames, encoded, strict=True):
        assert 0 < (frame != swapped).any(axis=2).mean() < 0.5
