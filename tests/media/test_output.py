"""A picture takes the place that was asked for, and of what was there nothing else changes."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest

from morphstream.artifact.errors import ImageError
from morphstream.media.encode import FORMATS
from morphstream.media.image import check_output, read_image, write_image
from tests.face import waves

PHOTO = waves(20, 30)


def test_a_picture_that_is_there_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    (path := tmp_path / "a.png").write_bytes(b"old")
    for refuse in (check_output, lambda path: write_image(path, PHOTO)):
        with pytest.raises(
            ImageError, match="expected no file, seen one; name another, or replace it with --overwrite"
        ):
            refuse(path)
    assert path.read_bytes() == b"old"
    write_image(path, PHOTO, overwrite=True)
    np.testing.assert_array_equal(read_image(path), PHOTO)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_picture_of_ours_is_replaced_unless_it_is_an_input(tmp_path: Path, suffix: str) -> None:
    write_image(path := tmp_path / f"a{suffix}", PHOTO)
    with pytest.raises(ImageError, match="expected no file, seen one; "):
        check_output(path, inputs=[path])
    write_image(path, PHOTO[::-1])
    np.testing.assert_allclose(read_image(path), PHOTO[::-1], atol=40)
    write_image(path, PHOTO, overwrite=True, is_synthetic=False)
    with pytest.raises(ImageError, match="expected no file, seen one; "):
        write_image(path, PHOTO)


def test_an_empty_file_is_not_ours(tmp_path: Path) -> None:
    (path := tmp_path / "a.png").touch()
    with pytest.raises(ImageError, match="expected no file, seen one; "):
        write_image(path, PHOTO)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_the_mode_of_what_is_replaced_stays(tmp_path: Path, mode: int) -> None:
    (path := tmp_path / "a.png").write_bytes(b"old")
    path.chmod(mode)
    write_image(path, PHOTO, overwrite=True)
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_the_owner_of_what_is_replaced_stays(tmp_path: Path) -> None:
    (path := tmp_path / "a.png").write_bytes(b"old")
    os.chown(path, 1234, 5678)
    path.chmod(0o4640)
    write_image(path, PHOTO, overwrite=True)
    after = path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode & 0o7777) == (1234, 5678, 0o4640)


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (real := tmp_path / "real" / "a.png").write_bytes(b"old")
    (link := tmp_path / "a.png").symlink_to(tmp_path / "other.png")
    (tmp_path / "other.png").symlink_to(real)
    write_image(link, PHOTO, overwrite=True)
    assert link.is_symlink()
    np.testing.assert_array_equal(read_image(real), PHOTO)
    assert list(real.parent.iterdir()) == [real]


def test_a_link_that_leads_nowhere_yet_is_followed(tmp_path: Path) -> None:
    (link := tmp_path / "a.png").symlink_to("later.png")
    write_image(link, PHOTO)
    assert not (tmp_path / "later.png").is_symlink()
    np.testing.assert_array_equal(read_image(tmp_path / "later.png"), PHOTO)


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    (link := tmp_path / "a.png").symlink_to(link)
    for path in (link, link / "b.png"):
        with pytest.raises(OSError, match="symbolic links") as caught:
            write_image(path, PHOTO, overwrite=True)
        assert caught.value.filename == str(path)
    assert link.is_symlink()


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_neither_read_nor_written(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    monkeypatch.chdir(tmp_path)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("a.png")
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ImageError, match=f"^{path}: expected a picture, seen a .*; name a PNG"):
        read_image(path)
    with pytest.raises(ImageError, match=rf"^{path}: expected no file, or a picture to replace, seen a {kind}"):
        write_image(path, PHOTO, overwrite=True)


def test_the_input_is_replaced_under_its_own_name_only(tmp_path: Path) -> None:
    write_image(target := tmp_path / "target.png", PHOTO)
    (link := tmp_path / "link.png").symlink_to(target)
    os.link(target, hard := tmp_path / "hard.png")
    for output in (link, hard):
        with pytest.raises(ImageError, match=f"expected another file than the input, seen {target} itself"):
            check_output(output, overwrite=True, inputs=[target])
    check_output(target, overwrite=True, inputs=[target])
    check_output(tmp_path / "new.png", inputs=[target, tmp_path / "missing.png"])


def test_an_endless_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (path := tmp_path / "a.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ImageError, match="expected a picture, seen more than"):
        read_image(path, max_pixels=1000)
