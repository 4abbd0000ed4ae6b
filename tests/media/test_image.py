"""What is written is read back, whatever was read becomes one form, and a failure leaves the old file."""

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from morphstream.artifact.errors import ImageError
from morphstream.frame import Frame, check_frame
from morphstream.media.encode import FORMATS
from morphstream.media.image import FrameList, PictureSource, check_output, read_image, write_image
from morphstream.media.picture import Picture
from morphstream.stream.run import StreamReport, run
from tests.face import noise, waves

PHOTO = waves(80, 120)


def encoded(suffix: str, image: npt.NDArray[np.integer]) -> bytes:
    done, data = cv2.imencode(suffix, image)
    assert done
    return data.tobytes()


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def turned(orientation: int) -> bytes:
    """Return the photo as a JPEG that EXIF says to turn."""
    tag = struct.pack("<HHII", 0x0112, 3, 1, orientation)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + tag + bytes(4)
    data = encoded(".jpg", PHOTO)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".webp", ".tiff", ".TIF"])
def test_a_picture_without_loss_comes_back_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", frame := noise(37, 61))
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), frame)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_a_jpeg_comes_back_nearly_as_it_was(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", PHOTO)
    assert np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - PHOTO).max() <= 8


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)], ids=["a pixel", "a row", "a column"])
def test_a_tiny_picture_comes_back(tmp_path: Path, suffix: str, shape: tuple[int, int]) -> None:
    write_image(tmp_path / f"a{suffix}", np.full((*shape, 3), 90, np.uint8))
    frame = read_image(tmp_path / f"a{suffix}")
    assert frame.shape == (*shape, 3)
    assert np.abs(frame.astype(int) - 90).max() <= 2


def test_a_picture_that_is_not_contiguous_is_written_as_it_is_seen(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", frame := noise(40, 60)[:, ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), frame)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(PHOTO[..., 0], np.repeat(PHOTO[..., :1], 3, axis=2), id="grey"),
        pytest.param(cv2.cvtColor(PHOTO, cv2.COLOR_BGR2BGRA), PHOTO, id="with alpha"),
        pytest.param(PHOTO.astype(np.uint16) * 257, PHOTO, id="16 bits"),
    ],
)
def test_a_picture_of_another_kind_becomes_a_frame(
    tmp_path: Path, image: npt.NDArray[np.integer], expected: Frame
) -> None:
    frame = read_image(saved(tmp_path / "a.png", encoded(".png", image)))
    check_frame(frame)
    np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, PHOTO),
        (2, PHOTO[:, ::-1]),
        (3, PHOTO[::-1, ::-1]),
        (4, PHOTO[::-1]),
        (5, np.rot90(PHOTO[:, ::-1])),
        (6, np.rot90(PHOTO, -1)),
        (7, np.rot90(PHOTO[:, ::-1], -1)),
        (8, np.rot90(PHOTO)),
    ],
    ids=[
        "upright",
        "mirrored",
        "upside down",
        "flipped",
        "transposed",
        "on its left side",
        "transversed",
        "on its right",
    ],
)
def test_a_picture_that_exif_says_to_turn_is_read_upright(tmp_path: Path, orientation: int, upright: Frame) -> None:
    frame = read_image(saved(tmp_path / "a.jpg", turned(orientation)))
    assert frame.shape == upright.shape
    assert np.abs(frame.astype(int) - upright).max() <= 8


def test_the_content_counts_and_not_the_name(tmp_path: Path) -> None:
    frame = read_image(saved(tmp_path / "a.txt", encoded(".png", PHOTO)))
    np.testing.assert_array_equal(frame, PHOTO)


def enormous() -> bytes:
    """Return a PNG that claims 10^10 pixels in 60 bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 10**5, 10**5, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="an empty file"),
        pytest.param(b"GIF is a name, not a picture", id="text"),
        pytest.param(bytes(10_000), id="zeros"),
        pytest.param(encoded(".png", PHOTO)[:30], id="a PNG's header"),
        pytest.param(encoded(".png", PHOTO)[:-20], id="a PNG without its end"),
        pytest.param(encoded(".jpg", PHOTO)[:700], id="a JPEG's header"),
        pytest.param(encoded(".jpg", PHOTO)[:-200], id="a JPEG without its end"),
        pytest.param(encoded(".webp", PHOTO)[:-200], id="a WebP without its end"),
    ],
)
def test_what_is_no_whole_picture_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = saved(tmp_path / "a.png", data)
    with pytest.raises(ImageError, match=f"^{path}: expected a picture, seen ") as caught:
        read_image(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_picture_that_declares_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", enormous())
    with pytest.raises(
        ImageError, match="at most 120000000 pixels, seen 100000 x 100000; make it smaller, or say --max"
    ):
        read_image(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_picture_may_have_as_many_pixels_as_are_allowed(tmp_path: Path, suffix: str) -> None:
    write_image(path := tmp_path / f"a{suffix}", noise(20, 30))
    assert read_image(path, max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(ImageError, match=r"at most 599 pixels, seen 30 x 20; .* --max-pixels 600$"):
        read_image(path, max_pixels=599)


@pytest.mark.parametrize("name", ["missing.png", ".", "a.png/b.png"], ids=["no file", "a folder", "under a file"])
def test_what_cannot_be_read_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "a.png", PHOTO)
    with pytest.raises((ImageError, OSError), match=str(tmp_path)) as caught:
        read_image(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["a.bmp", "a", "a.png.bak", "a.heic", ".png"])
def test_a_name_of_no_format_is_refused(tmp_path: Path, name: str) -> None:
    for refuse in (check_output, lambda path: write_image(path, PHOTO)):
        with pytest.raises(ImageError, match=r"expected a name that ends in one of \.png, .*, \.gif, seen"):
            refuse(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    for refuse in (check_output, lambda path: write_image(path, PHOTO)):
        with pytest.raises((ImageError, OSError), match="missing"):
            refuse(tmp_path / "missing" / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_takes_the_place_of_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", b"old")
    write_image(path, PHOTO, overwrite=True)
    np.testing.assert_array_equal(read_image(path), PHOTO)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("suffix", "width"), [(".webp", 17_000), (".jpg", 66_000)], ids=["over 16383 pixels", "over 65500 pixels"]
)
def test_a_picture_too_large_for_its_format_is_refused_and_the_old_file_stays(
    tmp_path: Path, suffix: str, width: int
) -> None:
    path = saved(tmp_path / f"a{suffix}", b"old")
    with pytest.raises(ImageError, match=r"expected a picture that fits its format.*use \.png"):
        write_image(path, np.zeros((2, width, 3), np.uint8), overwrite=True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.mkdir()
    with pytest.raises((ImageError, OSError), match=r"a\.png"):
        write_image(path, PHOTO)
    assert list(tmp_path.iterdir()) == [path]
    assert list(path.iterdir()) == []


def test_a_picture_is_a_stream_of_one_frame() -> None:
    frames = FrameList()
    report = run(PictureSource(Picture(pixels=[PHOTO])), (np.flipud,), frames)
    assert report == StreamReport(read=1, written=1, dropped=0)
    np.testing.assert_array_equal(frames.frames, [PHOTO[::-1]])


def test_an_animation_is_a_stream_of_frames_at_their_times() -> None:
    source = PictureSource(Picture(pixels=[PHOTO, PHOTO[::-1], PHOTO], durations_ms=[40, 100, 0]))
    read = [source.read() for _ in range(4)]
    assert [(frame.index, frame.time) for frame in read if frame] == [
        (0, 0),
        (1, Fraction(40, 1000)),
        (2, Fraction(140, 1000)),
    ]
    assert read[3] is None
