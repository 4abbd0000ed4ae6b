"""What is given in place of a picture is named as what it is, with what to do."""

from pathlib import Path

import pytest

from morphstream.artifact.errors import ImageError
from morphstream.media.read import read_picture


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "a video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a video"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23", "a video"),
        (b"RIFF\x24\0\0\0AVI LIST", "a video"),
        ((b"\x47" + bytes(187)) * 3, "a video"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\xff\x0a\0\0", "a JPEG XL"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, and not what it stands for"),
        (b"nothing known", "13 bytes that are none"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, data: bytes, kind: str) -> None:
    (path := tmp_path / "picture.jpg").write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_picture(path)
    assert str(caught.value).startswith(f"{path}: expected a picture, seen {kind}; ")
    assert ("ffmpeg" in str(caught.value)) == (kind == "a video")


@pytest.mark.parametrize("address", ["https://example.org/face.jpg", "rtsp://camera/1", "s3://bucket/a.png"])
def test_an_address_is_named(address: str) -> None:
    with pytest.raises(ImageError, match="expected a picture's file, seen an address; download it first"):
        read_picture(Path(address))
