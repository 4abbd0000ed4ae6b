"""A picture comes back as it came: colours, transparency, depth and metadata, but for what shows the original face."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from morphstream.artifact.errors import ImageError
from morphstream.media.image import write_picture
from morphstream.media.picture import Picture, Pixels, frame_of, with_frame
from morphstream.media.provenance import SOURCE_TYPE
from morphstream.media.read import read_picture
from tests.face import noise, waves
from tests.media.pictures import (
    IPTC,
    LOSSLESS,
    MAKERS_NOTE,
    THUMBNAIL,
    encoded,
    exif,
    profile,
    turned_back,
    with_thumbnail,
)

PHOTO = waves(40, 60)
SWAPPED = (slice(10, 20), slice(30, 45))  # rows and columns of the face


def swapped_and_saved(data: bytes, folder: Path, suffix: str, to: str | None = None) -> tuple[Picture, list[str]]:
    """Read a file, change a face in it and write it as ``out``; return it as it was, and what was lost."""
    (folder / f"in{suffix}").write_bytes(data)
    picture = read_picture(folder / f"in{suffix}")
    frames = [frame_of(pixels) for pixels in picture.pixels]
    swapped = [frame.copy() for frame in frames]
    for frame in swapped:
        frame[SWAPPED] = 255 - frame[SWAPPED]
    return picture, write_picture(folder / f"out{to or suffix}", picture, swapped)


def outside(pixels: Pixels) -> Pixels:
    """Return pixels with the face blackened."""
    rest = pixels.copy()
    rest[SWAPPED] = 0
    return rest


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tiff"])
def test_a_picture_comes_back_upright_with_its_metadata_and_without_what_shows_the_face(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    picture, notes = swapped_and_saved(encoded(suffix, PHOTO, orientation), tmp_path, suffix)
    assert (list(picture.notes), notes) == ([], [])
    data = (tmp_path / f"out{suffix}").read_bytes()
    assert SOURCE_TYPE.encode() in data
    assert THUMBNAIL not in data
    assert MAKERS_NOTE not in data
    with Image.open(tmp_path / f"out{suffix}") as image:
        tags = image.getexif()
        assert image.info["icc_profile"] == profile()
        assert (tags[0x010F], tags[0x0112]) == ("Acme", 1)
        details = tags.get_ifd(0x8769)
        assert (round(float(details[0x829A]), 6), details[0x9003]) == (0.008, "2026:01:02 03:04:05")
        assert (details[0xA002], details[0xA003]) == (60, 40)
        assert tags.get_ifd(0x8825)[2] == (48.0, 12.0, 30.0)
        assert image.size == (60, 40)
        image.load()
        if suffix == ".jpg":
            assert image.info["photoshop"][0x0404] == IPTC
        if suffix == ".tiff":
            assert image.tag_v2[33723] == IPTC  # type: ignore[attr-defined]
        shown = np.asarray(image.convert("RGB"))[..., ::-1]
    differences = np.abs(outside(shown).astype(int) - outside(PHOTO))
    assert differences.mean() < 4
    assert suffix not in LOSSLESS or not differences.any()
    assert (
        suffix in (".avif", ".tiff") or b"Ann \xc3\x96" in data
    )  # text stays byte for byte; Pillow, which made it, changes it


@pytest.mark.parametrize("to", [".png", ".webp", ".tiff"])
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff", ".avif"])
def test_transparency_stays_and_hides_what_it_hid(tmp_path: Path, suffix: str, to: str) -> None:
    alpha = np.zeros((40, 60, 1), np.uint8)
    alpha[5:35, 20:50] = np.arange(30, dtype=np.uint8)[:, None, None] * 8 + 20
    picture, _ = swapped_and_saved(encoded(suffix, np.dstack([PHOTO, alpha])), tmp_path, suffix, to)
    after = read_picture(tmp_path / f"out{to}").pixels[0]
    np.testing.assert_array_equal(after[..., 3], picture.pixels[0][..., 3])
    np.testing.assert_array_equal(outside(after), outside(picture.pixels[0]))
    if suffix != ".avif":
        np.testing.assert_array_equal(after[..., 3:], alpha)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4], ids=["grey", "colours", "with alpha"])
def test_sixteen_bits_stay(tmp_path: Path, suffix: str, channels: int) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (40, 60, channels)).astype(np.uint16)
    done, data = cv2.imencode(suffix, deep)
    assert done
    picture, _ = swapped_and_saved(data.tobytes(), tmp_path, suffix)
    expected = np.repeat(deep, 3, axis=2) if channels == 1 else deep
    after = read_picture(tmp_path / f"out{suffix}")
    assert (picture.bits, after.bits) == (16, 16)
    np.testing.assert_array_equal(outside(after.pixels[0]), outside(expected))
    face, before = (np.asarray(frame_of(own)[SWAPPED], int) for own in (after.pixels[0], picture.pixels[0]))
    assert np.abs(face - (255 - before)).max() <= 1


@pytest.mark.parametrize("bits", [10, 12])
def test_an_avif_of_more_bits_keeps_them(tmp_path: Path, bits: int) -> None:
    deep = (PHOTO.astype(np.uint16) << (bits - 8)) + 1
    done, data = cv2.imencode(".avif", deep, [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100])
    assert done
    picture, _ = swapped_and_saved(data.tobytes(), tmp_path, ".avif")
    after = read_picture(tmp_path / "out.avif")
    assert (picture.bits, after.bits) == (bits, bits)
    np.testing.assert_array_equal(picture.pixels[0] >> (16 - bits), deep)
    np.testing.assert_array_equal(outside(after.pixels[0]), outside(picture.pixels[0]))


@pytest.mark.parametrize(
    ("picture", "suffix", "expected"),
    [
        pytest.param(
            Picture(pixels=[np.zeros((2, 2, 3), np.uint16)], bits=16),
            ".jpg",
            r"expected 8 bits a colour for \.jpg, seen 16; name a \.png or \.tiff, or convert",
            id="depth",
        ),
        pytest.param(
            Picture(pixels=[np.zeros((2, 2, 4), np.uint8)]),
            ".jpeg",
            r"expected no transparency for \.jpeg, seen some; name a \.png",
            id="transparency",
        ),
        pytest.param(
            Picture(pixels=[np.zeros((2, 2, 3), np.uint8)] * 3, durations_ms=[1, 1, 1]),
            ".tiff",
            r"expected one frame for \.tiff, seen an animation of 3 frames; name a \.webp",
            id="frames",
        ),
    ],
)
def test_what_a_format_would_lose_is_refused_with_what_keeps_it(
    tmp_path: Path, picture: Picture, suffix: str, expected: str
) -> None:
    frames = [frame_of(pixels) for pixels in picture.pixels]
    with pytest.raises(ImageError, match=expected):
        write_picture(tmp_path / f"a{suffix}", picture, frames)
    assert list(tmp_path.iterdir()) == []


def test_what_a_format_has_no_place_for_is_said(tmp_path: Path) -> None:
    _, notes = swapped_and_saved(encoded(".jpg", PHOTO), tmp_path, ".jpg", ".webp")
    assert notes == ["its IPTC is left out, which .webp can't hold"]
    _, notes = swapped_and_saved(encoded(".jpg", PHOTO), tmp_path, ".jpg", ".png")
    assert notes == []


def test_a_profile_of_other_colours_than_are_written_is_left_out_and_said(tmp_path: Path) -> None:
    grey = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PHOTO[..., 0]).save(tmp_path / "grey.jpg", icc_profile=grey[:16] + b"GRAY" + grey[20:])
    picture = read_picture(tmp_path / "grey.jpg")
    assert picture.metadata.profile is None
    assert list(picture.notes) == ["its colour profile is left out: it is of GRAY colours, and RGB is written"]


def test_damaged_exif_costs_the_exif_and_not_the_picture(tmp_path: Path) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "a.jpg", exif=exif(1).tobytes()[:20])
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.metadata.exif is None
    assert list(picture.notes) == ["its EXIF is left out: it is damaged"]


def test_a_jpeg_is_written_with_the_quality_that_it_had(tmp_path: Path) -> None:
    for quality, sampling in ((60, 2), (98, 0)):
        Image.fromarray(noise(64, 64)).save(tmp_path / "in.jpg", quality=quality, subsampling=sampling)
        picture = read_picture(tmp_path / "in.jpg")
        write_picture(tmp_path / "out.jpg", picture, [frame_of(picture.pixels[0])], overwrite=True)
        with Image.open(tmp_path / "in.jpg") as before, Image.open(tmp_path / "out.jpg") as after:
            assert after.quantization == before.quantization  # type: ignore[attr-defined]
            assert after.layer == before.layer  # type: ignore[attr-defined]


def test_a_large_profile_and_many_tags_fit_every_format(tmp_path: Path) -> None:
    large = profile() + np.random.default_rng(0).bytes(200_000)
    for suffix in (".png", ".jpg", ".webp", ".avif", ".tiff"):
        Image.fromarray(PHOTO).save(tmp_path / "in.png", icc_profile=large, exif=with_thumbnail(exif(6).tobytes()))
        picture = read_picture(tmp_path / "in.png")
        assert write_picture(tmp_path / f"out{suffix}", picture, [frame_of(picture.pixels[0])]) == []
        with Image.open(tmp_path / f"out{suffix}") as image:
            assert image.info["icc_profile"] == large


def test_a_png_without_a_profile_keeps_what_says_how_to_show_it(tmp_path: Path) -> None:
    info = PngInfo()
    info.add(b"gAMA", (100_000).to_bytes(4, "big"))
    Image.fromarray(PHOTO).save(tmp_path / "in.png", pnginfo=info)
    picture = read_picture(tmp_path / "in.png")
    write_picture(tmp_path / "out.png", picture, [frame_of(picture.pixels[0])])
    with Image.open(tmp_path / "out.png") as image:
        assert image.info["gamma"] == 1.0


def test_pixels_change_only_where_the_frame_did() -> None:
    deep = np.full((2, 2, 4), 12345, np.uint16)
    frame = frame_of(deep)
    swapped = frame.copy()
    swapped[0, 0] = 255
    after = with_frame(deep, frame, swapped)
    np.testing.assert_array_equal(after[1], deep[1])
    np.testing.assert_array_equal(after[0, 0], [65535, 65535, 65535, 12345])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"pixels": []}, "expected pixels of one shape and type, seen none"),
        ({"pixels": [np.zeros((2, 2), np.uint8)]}, "expected BGR or BGRA pixels of 8 bits"),
        ({"pixels": [np.zeros((2, 2, 3), np.uint16)]}, "expected BGR or BGRA pixels of 8 bits"),
        ({"pixels": [np.zeros((2, 2, 3), np.uint8)], "durations_ms": [1, 2]}, "expected 1 durations, seen 2"),
    ],
    ids=["none", "grey", "depth", "durations"],
)
def test_a_picture_checks_itself(fields: dict[str, list[Pixels]], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Picture(**fields)  # type: ignore[arg-type]


def test_a_pngs_exif_may_stand_behind_its_pixels(tmp_path: Path) -> None:
    data = encoded(".png", PHOTO, 6)
    place = data.index(b"eXIf") - 4
    size = 12 + int.from_bytes(data[place : place + 4], "big")
    moved = data[:place] + data[place + size : -12] + data[place : place + size] + data[-12:]
    picture, _ = swapped_and_saved(moved, tmp_path, ".png")
    np.testing.assert_array_equal(picture.pixels[0], PHOTO)
    assert picture.metadata.exif


def test_an_avif_turns_as_its_container_says_and_its_exif_stays_byte_for_byte(tmp_path: Path) -> None:
    said, silent = (b"\x01\x12\0\x03\0\0\0\x01\0" + bytes([number]) for number in (6, 1))  # orientation
    tags = [np.frombuffer(exif(6).tobytes(), np.uint8)]
    done, data = cv2.imencodeWithMetadata(".avif", turned_back(PHOTO, 6), [cv2.IMAGE_METADATA_EXIF], tags)
    assert done
    assert said in data.tobytes()
    picture, _ = swapped_and_saved(data.tobytes().replace(said, silent), tmp_path, ".avif")
    assert np.abs(picture.pixels[0].astype(int) - PHOTO).mean() < 4
    assert b"Ann \xc3\x96" in (tmp_path / "out.avif").read_bytes()
