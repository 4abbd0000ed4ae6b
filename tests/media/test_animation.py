"""An animation comes back frame by frame, with its times and its repeats."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morphstream.media.gif import in_few_colours
from morphstream.media.image import write_picture
from morphstream.media.picture import Pixels, frame_of
from morphstream.media.provenance import SOURCE_TYPE
from morphstream.media.read import read_picture
from tests.face import noise, waves
from tests.media.pictures import NAMES, animated, exif, profile

FRAMES: list[Pixels] = [np.roll(waves(40, 60), shift, axis=1) for shift in (0, 5, 11)]
DURATIONS_MS = [50, 120, 90]
FACE = (slice(10, 20), slice(30, 45))


def in_sixteen_colours(frame: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(frame.astype(np.uint8)).quantize(16).convert("RGB"))


def frames_in(path: Path) -> list[tuple[Pixels, float]]:
    """Return the frames of an animation as Pillow shows them, BGR, each with its duration."""
    shown = []
    with Image.open(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            shown.append((np.asarray(image.convert("RGB"))[..., ::-1], image.info["duration"]))
    return shown


@pytest.mark.parametrize("to", [".webp", ".png", ".gif"])
@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_an_animation_is_written_frame_by_frame(tmp_path: Path, suffix: str, to: str) -> None:
    frames = [in_sixteen_colours(frame) for frame in FRAMES]
    (tmp_path / f"in{suffix}").write_bytes(animated(suffix, frames, DURATIONS_MS))
    picture = read_picture(tmp_path / f"in{suffix}")
    np.testing.assert_array_equal(picture.pixels, frames)
    swapped = [frame_of(pixels).copy() for pixels in picture.pixels]
    for frame in swapped:
        frame[FACE] = noise(10, 15)
    assert write_picture(tmp_path / f"out{to}", picture, swapped) == []
    after = frames_in(tmp_path / f"out{to}")
    assert [duration for _, duration in after] == DURATIONS_MS
    for (shown, _), frame in zip(after, swapped, strict=True):
        differs = np.abs(shown.astype(int) - frame)
        assert differs[FACE].mean() < 30 if to == ".gif" else not differs[FACE].any()
        differs[FACE] = 0
        assert not differs.any()
    assert SOURCE_TYPE.encode() in (tmp_path / f"out{to}").read_bytes()


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
@pytest.mark.parametrize("loop", [0, 3])
def test_an_animation_is_repeated_as_often_as_before(tmp_path: Path, suffix: str, loop: int) -> None:
    (tmp_path / f"in{suffix}").write_bytes(animated(suffix, FRAMES, DURATIONS_MS, loop))
    picture = read_picture(tmp_path / f"in{suffix}")
    write_picture(tmp_path / f"out{suffix}", picture, [frame_of(pixels) for pixels in picture.pixels])
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert image.info["loop"] == loop


def test_durations_that_a_format_cannot_hold_are_rounded_over_all_frames(tmp_path: Path) -> None:
    frames: list[Pixels] = [np.roll(waves(40, 60), shift, axis=1) for shift in range(6)]
    (tmp_path / "in.png").write_bytes(animated(".png", frames, [16, 17, 17, 16, 17, 17]))
    picture = read_picture(tmp_path / "in.png")
    for suffix, durations_ms in ((".gif", [20, 10, 20, 20, 10, 20]), (".avif", [16, 17, 17, 16, 17, 17])):
        write_picture(tmp_path / f"out{suffix}", picture, [frame_of(pixels) for pixels in picture.pixels])
        assert [duration for _, duration in frames_in(tmp_path / f"out{suffix}")] == durations_ms


def test_an_animations_metadata_and_turn_are_kept(tmp_path: Path) -> None:
    images = [Image.fromarray(frame[..., ::-1].astype(np.uint8)) for frame in FRAMES]
    for suffix, orientation, size in ((".webp", 6, (40, 60)), (".png", 6, (40, 60)), (".avif", 1, (60, 40))):
        carried: dict[str, object] = {"icc_profile": profile(), "exif": exif(orientation).tobytes()}
        carried |= {"save_all": True, "append_images": images[1:], "duration": 50}
        images[0].save(tmp_path / f"in{suffix}", NAMES[suffix], **carried)
        picture = read_picture(tmp_path / f"in{suffix}")
        write_picture(tmp_path / f"out{suffix}", picture, [frame_of(pixels) for pixels in picture.pixels])
        with Image.open(tmp_path / f"out{suffix}") as image:
            assert (image.size, image.n_frames) == (size, 3)  # type: ignore[attr-defined]
            assert image.info["icc_profile"] == profile()
            assert (image.getexif()[0x010F], image.getexif().get(0x0112, 1)) == ("Acme", 1)


def test_a_gif_of_more_colours_than_it_can_hold_is_written_in_near_ones(tmp_path: Path) -> None:
    (tmp_path / "in.webp").write_bytes(animated(".webp", [noise(40, 60), noise(40, 60, 1)], [50, 50]))
    picture = read_picture(tmp_path / "in.webp")
    write_picture(tmp_path / "out.gif", picture, [frame_of(pixels) for pixels in picture.pixels])
    for (shown, _), pixels in zip(frames_in(tmp_path / "out.gif"), picture.pixels, strict=True):
        assert np.abs(shown.astype(int) - pixels).mean() < 25


@pytest.mark.parametrize("is_transparent", [False, True])
def test_a_gif_that_uses_its_whole_palette_is_exact_outside_the_face(is_transparent: bool) -> None:
    channels = 3 + is_transparent
    before = np.full((32, 32, channels), 255, np.uint8)
    before[..., 0] = (np.arange(32 * 32) % (256 - is_transparent)).reshape(32, 32)
    before[0, 0, 3:] = 0
    after = before.copy()
    after[FACE][..., :3] = 9
    shown = np.asarray(in_few_colours(before, after).convert("RGBA"))[..., [2, 1, 0, 3]][..., :channels].copy()
    shown[FACE] = before[FACE]
    np.testing.assert_array_equal(shown[before[..., -1] > 0], before[before[..., -1] > 0])


def test_what_is_transparent_in_a_gif_stays_so(tmp_path: Path) -> None:
    images = []
    for shift in (0, 8):
        pixels = np.zeros((40, 60, 4), np.uint8)
        pixels[10:30, 10 + shift : 30 + shift] = [10, 200, 30, 255]
        images.append(Image.fromarray(pixels))
    images[0].save(tmp_path / "in.gif", save_all=True, append_images=images[1:], duration=100, disposal=2)
    picture = read_picture(tmp_path / "in.gif")
    write_picture(tmp_path / "out.gif", picture, [frame_of(pixels) for pixels in picture.pixels])
    after = read_picture(tmp_path / "out.gif")
    for before, shown in zip(picture.pixels, after.pixels, strict=True):
        np.testing.assert_array_equal(shown[..., 3], before[..., 3])
        np.testing.assert_array_equal(shown[shown[..., 3] > 0], before[before[..., 3] > 0])


def test_a_still_before_an_animation_is_not_one_of_its_frames(tmp_path: Path) -> None:
    images = [Image.fromarray(frame[..., ::-1].astype(np.uint8)) for frame in FRAMES]
    images[0].save(tmp_path / "in.png", save_all=True, default_image=True, append_images=images[1:], duration=[70, 80])
    picture = read_picture(tmp_path / "in.png")
    np.testing.assert_array_equal(picture.pixels, FRAMES[1:])
    assert list(picture.durations_ms) == [70, 80]
