"""`morphstream swap` of several pictures: each is swapped or named as failed, and nothing that is there is lost."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from morphstream.cli.main import main
from morphstream.media.image import read_image
from morphstream.store.store import Store
from tests.cli import OLD, refusal


@pytest.fixture
def album(here: Path) -> Path:
    """A folder ``album`` with two portraits, a picture of nobody, a broken one, a text and a folder."""
    (album := here / "album").mkdir()
    shutil.copyfile(here / "source.png", album / "ann.png")
    Image.open(here / "source.png").save(album / "ben.bmp")
    shutil.copyfile(here / "nobody.png", album / "nobody.png")
    shutil.copyfile(here / "cut.jpg", album / "cut.jpg")
    (album / "notes.txt").write_text("not a picture")
    (album / "deeper").mkdir()
    return album


def test_a_folder_is_swapped_past_failures_and_ends_in_a_table(
    here: Path, album: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["swap", "source.png", "album", "-o", "out", "--store", str(booted.path)]) == 1
    done = capfd.readouterr()
    said = done.err.splitlines()
    assert said[0] == "[1/4] album/ann.png: 1 faces found, 1 swapped"
    assert said[2].startswith("[3/4] album/cut.jpg: expected a picture, seen 100000 bytes")
    assert said[3].startswith("[4/4] album/nobody.png: expected a face to swap, seen ")
    head, *rows, end = done.out.splitlines()
    assert head.split() == ["picture", "faces", "swapped", "seconds", "written"]
    assert [row.split()[0] for row in rows] == [
        f"album/{name}" for name in ("ann.png", "ben.bmp", "cut.jpg", "nobody.png")
    ]
    assert [row.split()[4] for row in rows] == ["out/ann.png", "out/ben.png", "failed:", "failed:"]
    assert end == "2 of 4 pictures swapped with inswapper_128_fp16, 2 failed"
    assert sorted(path.name for path in (here / "out").iterdir()) == ["ann.png", "ben.png"]
    np.testing.assert_array_equal(read_image(here / "out/ann.png"), read_image(here / "out/ben.png"))


def test_several_pictures_are_described_in_json(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["swap", "source.png", "source.png", "nobody.png", "-o", "out", "--json", "--store", str(booted.path)]
    assert main(command) == 1
    said = json.loads(capfd.readouterr().out)
    assert (said["swap_model"], said["failed"], said["is_dry_run"]) == ("inswapper_128_fp16", 1, False)
    first, second = said["pictures"]
    assert (first["target"], first["output"], first["faces"], first["swapped"]) == (
        "source.png",
        "out/source.png",
        1,
        1,
    )
    assert first["error"] is None
    assert second["output"] is None
    assert second["error"].startswith("nobody.png: expected a face to swap, seen ")


def test_a_dry_run_says_what_would_be_swapped_and_writes_nothing(
    here: Path, album: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.rglob("*"))
    command = ["swap", "source.png", "source.png", "-o", "new.png", "--dry-run", "--store", str(booted.path)]
    assert main(command) == 0
    assert "new.png: 1 faces found, 1 would be swapped with" in capfd.readouterr().out
    assert main(["swap", "source.png", "album", "-o", "out", "--dry-run", "--store", str(booted.path)]) == 1
    assert "2 of 4 pictures would be swapped with" in capfd.readouterr().out
    assert sorted(here.rglob("*")) == before


def test_before_and_after_are_written_beside_each_other(here: Path, booted: Store) -> None:
    assert main(["swap", "source.png", "source.png", "-o", "new.png", "--compare", "--store", str(booted.path)]) == 0
    both = read_image(here / "new.compare.png")
    np.testing.assert_array_equal(both[:, :512], read_image(here / "source.png"))
    np.testing.assert_array_equal(both[:, 512:], read_image(here / "new.png"))


def test_an_animation_is_swapped_in_each_frame(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    photo = Image.open(here / "source.png")
    turned = [photo.rotate(degrees) for degrees in (5, -5)]
    photo.save(here / "in.webp", save_all=True, append_images=turned, duration=[40, 50, 60], lossless=True)
    assert main(["swap", "source.png", "in.webp", "-o", "new.webp", "--store", str(booted.path)]) == 0
    assert "new.webp: 3 faces found in 3 frames, 3 swapped with" in capfd.readouterr().out
    with Image.open(here / "new.webp") as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]


def test_a_picture_that_is_there_stays(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "out").mkdir()
    (here / "out/source.png").write_bytes(OLD)
    assert main(["swap", "source.png", "source.png", "-o", "out", "--store", str(booted.path)]) == 1
    assert "out/source.png: expected no file, seen one" in capfd.readouterr().err
    assert (here / "out/source.png").read_bytes() == OLD


def test_pictures_are_not_written_over_themselves(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "mine").mkdir()
    shutil.copyfile(here / "source.png", here / "mine/ann.png")
    (here / "same").symlink_to("mine")
    for folder in ("mine", "same"):
        line = refusal(capfd, "swap", "source.png", "mine", "-o", folder, "--overwrite")
        assert line.startswith(f"{folder}/ann.png: expected another file than the input, seen mine/ann.png itself")
    (here / "mine/source.png").symlink_to("../source.png")
    line = refusal(capfd, "swap", "source.png", "source.png", "-o", "mine", "--overwrite")
    assert line.startswith("mine/source.png: expected another file than the input, seen source.png itself")
    assert sorted(path.name for path in (here / "mine").iterdir()) == ["ann.png", "source.png"]


def test_what_cannot_be_told_apart_is_refused(here: Path, album: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal(capfd, "swap", "source.png", "album", "source.png", "album/ann.png", "-o", "out")
    assert line.startswith("out/ann.png: expected one file of that name, seen album/ann.png and album/ann.png")
    line = refusal(capfd, "swap", "source.png", "album", "-o", "all.png")
    assert line == "all.png: expected a folder for 4 pictures, seen a picture's name; name a folder"
    line = refusal(capfd, "swap", "source.png", "album/deeper", "-o", "out")
    assert line.startswith("album/deeper: expected pictures, seen none whose name ends in")


def test_a_damaged_picture_costs_one_line(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    done, data = cv2.imencode(".png", np.zeros((50, 50, 3), np.uint16))
    assert done
    (here / "damaged.png").write_bytes(data.tobytes()[:50] + b"?" + data.tobytes()[51:])
    refusal(capfd, "swap", "damaged.png", "source.png", "-o", "new.png", "--store", str(booted.path))
    line = refusal(capfd, "swap", "source.png", "damaged.png", "-o", "new.png", "--store", str(booted.path))
    assert line.startswith("damaged.png: expected ")


@pytest.mark.parametrize("pixels", ["0", "-1", "many"])
def test_a_limit_of_pixels_is_a_number_of_1_or_more(here: Path, pixels: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["swap", "source.png", "source.png", "-o", "new.png", f"--max-pixels={pixels}"])
    assert "--max-pixels: expected a whole number from 1 to" in capfd.readouterr().err
