"""`morphstream swap` and `morphstream faces` take a video as they take a picture, and say what came of it."""

import json
from pathlib import Path

import pytest

from bench.clips import clip, write_clip
from morphstream.cli.main import main
from morphstream.media.image import read_image
from morphstream.media.sheet import SIDE
from morphstream.store.store import Store
from tests.cli import OLD, refusal, wrong_usage


@pytest.fixture(scope="module")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of three people, 8 frames."""
    path = tmp_path_factory.mktemp("video") / "cross.mp4"
    write_clip(clip("cross", size_wh=(480, 270), count=8), path)
    return path


@pytest.fixture
def album(here: Path, cross: Path) -> Path:
    """A folder to run in, with that video and a portrait in a folder ``album``."""
    (here / "album").mkdir()
    (here / "album/cross.mp4").symlink_to(cross)
    (here / "album/ann.png").symlink_to(here / "source.png")
    return here / "album"


def test_a_folder_has_videos_and_pictures_whose_people_are_mapped(
    album: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", str(booted.path)]
    assert main(["faces", "album/cross.mp4", "--portraits", "people", "--json", *store]) == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["frames"], [person["frames"] for person in said["people"]]) == (8, [8, 8, 8])
    assert read_image(Path(said["sheet"])).shape == (2 * (SIDE + 24), 2 * SIDE, 3)
    again = ["faces", "album/cross.mp4", "--portraits", "people", "-o", "new.png", *store]
    assert "people: expected a folder without numbered portraits, seen 1.png; name another" in refusal(capfd, *again)
    assert not Path("new.png").exists()
    command = ["swap", "--source=ann=source.png", "--map=ann=people/2.png", "--threshold=0.5", "album", "-o", "out"]
    assert main([*command, *store]) == 1  # the portrait isn't of that person
    done = capfd.readouterr()
    assert done.err.splitlines()[0].startswith("[1/2] album/ann.png: expected a face to swap, seen 1 and none that ")
    assert done.err.splitlines()[1] == "[2/2] album/cross.mp4: 3 faces found, 8 frames swapped"
    head, _, row, end = done.out.splitlines()
    assert head.split() == ["file", "faces", "swapped", "seconds", "written"]
    assert row.split()[::4] == ["album/cross.mp4", "out/cross.mp4"]
    assert end == "1 of 2 files swapped with inswapper_128_fp16, 1 failed"


def test_a_preview_is_a_sheet_and_no_video(album: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["swap", "source.png", "album/cross.mp4", "-o", "new.mp4", "--preview", "2", "--compare"]
    assert main([*command, "--end", "0.2", "--store", str(booted.path)]) == 0
    assert capfd.readouterr().out.startswith("new.preview.jpg: 6 faces found in 2 frames, 6 swapped with ")
    assert read_image(Path("new.preview.jpg")).shape == (270 + 24, 2 * 2 * 480, 3)
    assert not Path("new.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["album/cross.mp4", "nobody.png", "-o", "new.mp4"],
            "album/cross.mp4: expected a picture of a face, seen a vid",
        ),
        (["nobody.png", "-o", "new.mp4"], "new.mp4: expected a name that ends in one of .png, .jpg"),
        (["text.mp4", "-o", "new.mp4"], "text.mp4: expected a video, seen a file that is none"),
        (["missing.mp4", "-o", "new.mp4"], "missing.mp4: expected a video, seen No such file"),
        (["album/cross.mp4", "-o", "new.png"], "new.png: expected a name that ends in one of .mp4, "),
        (["album/cross.mp4", "-o", "old.mp4"], "old.mp4: expected no file, seen one; name another"),
        (["album/cross.mp4", "-o", "new.mp4", "--encoder=x264"], "encoder: expected one of libx264, "),
    ],
    ids=["a video first", "a picture", "a text", "no file", "a picture to write", "a file", "an encoder"],
)
def test_what_is_no_video_or_cannot_be_written_is_refused(
    album: Path, booted: Store, capfd: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    Path("text.mp4").write_text("no video")
    Path("old.mp4").write_bytes(OLD)
    assert expected in refusal(capfd, "swap", "source.png", *arguments, "--store", str(booted.path))
    assert Path("old.mp4").read_bytes() == OLD
    assert not Path("new.mp4").exists()


def test_options_of_videos_go_with_videos(album: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said = wrong_usage(capfd, "swap", "source.png", "group.jpg", "-o", "new.png", "--quality", "20")
    assert "--quality: expected a video among the targets, seen none" in said
    assert "expected a video, seen another file" in wrong_usage(capfd, "faces", "source.png", "--end", "1")
