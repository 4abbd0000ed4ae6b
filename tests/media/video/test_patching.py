"""Changed pixels get back into a decoded picture; everything else of it stays bit for bit what was decoded."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from morphstream.media.video.colour import planes_of
from morphstream.media.video.picture import VideoFrame, video_frame
from morphstream.media.video.read import VideoSource
from tests.media.video.videos import frame_of, write_video

CODECS = {
    **dict.fromkeys(("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le", "gbrp10le", "gray"), "ffv1"),
    "yuvj420p": "mjpeg",
    "yuva444p10le": "prores_ks",
    "rgb24": "png",
    "rgba": "png",
}
INSIDE = slice(35, 76), slice(53, 109)
PLACE = slice(33, 78), slice(51, 111)  # upright, and on no bound that chroma has


def read_one(path: Path) -> VideoFrame:
    with VideoSource(path) as source:
        frame = source.read()
        assert frame
        return frame.value


def bytes_of(picture: av.VideoFrame) -> list[bytes]:
    return [bytes(plane) for plane in picture.planes]


@pytest.mark.parametrize("pixel_format", CODECS)
@pytest.mark.parametrize("degrees", [0, 90])
def test_what_changed_is_replaced_and_nothing_else(tmp_path: Path, pixel_format: str, degrees: int) -> None:
    path = write_video(
        tmp_path / f"a.{'mov' if CODECS[pixel_format] == 'png' else 'mkv'}",
        codec=CODECS[pixel_format],
        pixel_format=pixel_format,
        options={"g": "1"},
        tags=(1, 2 if pixel_format == "yuvj420p" else 1),
        count=1,
        change=lambda stream: stream.set_display_rotation(degrees),
    )
    read, wanted = read_one(path), read_one(path)
    changed = read.frame.copy()
    changed[PLACE] = changed[PLACE][::-1, ::-1] // 2 + 60
    if pixel_format == "gray":
        changed[PLACE] = changed[PLACE][..., :1]
    before = bytes_of(read.picture)
    patched = read.with_frame(changed)

    shown = video_frame(patched, index=0, time=read.time, turn=read.turn).frame.astype(int)
    assert np.abs(shown - changed)[INSIDE].mean() < 1.5
    assert (patched.pts, patched.colorspace, patched.rotation) == (0, wanted.picture.colorspace, degrees)

    mask = np.zeros(read.frame.shape[:2], bool)
    mask[PLACE] = True
    coded = np.ascontiguousarray(np.rot90(mask, -degrees // 90))
    for own, other in zip(planes_of(patched), planes_of(wanted.picture), strict=True):
        height, width = own.shape
        outside = ~coded.reshape(height, coded.shape[0] // height, width, -1).any((1, 3))
        assert np.array_equal(own[outside], other[outside])
        assert not np.array_equal(own, other)
    if pixel_format in ("rgba", "yuva444p10le"):
        assert bytes_of(patched)[-1] == before[-1]


def test_an_unchanged_frame_leaves_its_picture_alone(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", count=1)
    read, other = read_one(path), read_one(path)
    assert read.with_frame(read.frame) is read.picture
    assert read.with_frame(read.frame.copy()) is read.picture
    assert bytes_of(read.picture) == bytes_of(other.picture)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [("a.mov", "qtrle", "rgb24"), ("a.mp4", "libx264", "yuv420p"), ("a.gif", "gif", "rgb8")],
)
def test_a_patched_picture_does_not_change_later_ones(tmp_path: Path, name: str, codec: str, pixel_format: str) -> None:
    path = write_video(tmp_path / name, codec=codec, pixel_format=pixel_format, options={"g": "12"})
    with VideoSource(path) as source, VideoSource(path) as other:
        for _ in range(12):
            frame, wanted = source.read(), other.read()
            assert frame
            assert wanted
            assert np.array_equal(frame.value.frame, wanted.value.frame)
            frame.value.with_frame(255 - frame.value.frame)


def test_a_changed_frame_is_not_written_to(tmp_path: Path) -> None:
    read = read_one(write_video(tmp_path / "a.mp4", count=1))
    before, changed = read.frame.copy(), 255 - read.frame
    changed.flags.writeable = False
    read.with_frame(changed)
    assert np.array_equal(read.frame, before)


def test_light_beyond_white_does_not_shine_through_what_replaces_it() -> None:
    picture = av.VideoFrame(64, 48, "yuv420p")
    for plane, value in zip(planes_of(picture), (254, 128, 128), strict=True):  # white is 235
        plane.fill(value)
    frame = np.full((48, 64, 3), 255, np.uint8)
    dark = frame.copy()
    dark[8:40, 8:40] = 100

    planes = planes_of(VideoFrame(index=0, time=Fraction(0), frame=frame, picture=picture).with_frame(dark))
    assert abs(int(planes[0][20, 20]) - (16 + 100 * 219 / 255)) <= 4
    assert planes[0][2, 2] == 254


@pytest.mark.parametrize("width", [61, 62, 64])
def test_a_single_pixel_is_replaced_wherever_it_is(width: int) -> None:
    for column in range(width):
        picture, frame = av.VideoFrame(width, 8, "gray"), np.full((8, width, 3), 100, np.uint8)
        planes_of(picture)[0].fill(100)
        changed = frame.copy()
        changed[5, column] = 200
        patched = VideoFrame(index=0, time=Fraction(0), frame=frame, picture=picture).with_frame(changed)
        assert np.argwhere(planes_of(patched)[0] != 100).tolist() == [[5, column]]


def test_a_frame_of_another_shape_is_refused(tmp_path: Path) -> None:
    read = read_one(write_video(tmp_path / "a.mp4", count=1))
    with pytest.raises(ValueError, match=r"expected a frame \(120, 160, 3\), seen \(60, 160, 3\)"):
        read.with_frame(frame_of(0)[:60])
