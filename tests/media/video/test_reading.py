"""Each frame of a video is read once, upright, in its colours and with its exact time, from any start to any end."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from morphstream.artifact.errors import VideoError
from morphstream.frame import Frame, Timed
from morphstream.media.kinds import is_video
from morphstream.media.video.picture import VideoFrame
from morphstream.media.video.read import VideoSource
from tests.media.video.videos import COUNT, frame_of, remuxed, write_video

FINE = {"preset": "ultrafast", "qp": "1"}


def frames_of(source: VideoSource) -> list[Timed[VideoFrame]]:
    return [*iter(source.read, None)]


def difference(frame: Frame, other: Frame) -> float:
    """Return how far two frames are from each other, in levels, on average."""
    assert frame.shape == other.shape
    return float(np.abs(frame.astype(int) - other).mean())


@pytest.mark.parametrize("tags", [(1, 1), (1, 2), (5, 1), (5, 2), (9, 1)], ids=str)
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12"])
def test_colours_are_read_by_their_matrix_and_range(tmp_path: Path, tags: tuple[int, int], pixel_format: str) -> None:
    codec, options = ("ffv1", {}) if pixel_format != "nv12" else ("libx264", FINE)
    path = write_video(tmp_path / "a.mkv", codec=codec, options=options, pixel_format=pixel_format, tags=tags, count=2)
    with VideoSource(path) as source:
        assert (source.info.colours.matrix % 6, source.info.colours.range) == (tags[0] % 6, tags[1])
        assert source.info.bits == (10 if pixel_format.endswith("10le") else 8)
        for index, frame in enumerate(frames_of(source)):
            assert difference(frame.value.frame, frame_of(index)) < 2.5


@pytest.mark.parametrize("pixel_format", ["rgb24", "rgba", "rgb48be", "gray"])
def test_colours_without_a_matrix_are_read_as_they_are(tmp_path: Path, pixel_format: str) -> None:
    path = write_video(tmp_path / "a.mov", codec="png", options={"g": "1"}, pixel_format=pixel_format, count=1)
    wanted = frame_of(0)
    if pixel_format == "gray":
        wanted = np.repeat(cv2.cvtColor(wanted, cv2.COLOR_BGR2GRAY)[..., None], 3, 2).astype(np.uint8)
    with VideoSource(path) as source:
        assert difference(frames_of(source)[0].value.frame, wanted) < 1


@pytest.mark.parametrize(("height", "matrix"), [(480, 5), (720, 1)])
def test_untagged_colours_are_those_that_players_take(tmp_path: Path, height: int, matrix: int) -> None:
    size = (64, height)
    path = write_video(tmp_path / "a.mkv", codec="ffv1", options={"g": "1"}, size_wh=size, count=1)  # of BT.601
    with VideoSource(path) as source:
        assert source.info.colours.matrix == 2
        is_right = difference(frames_of(source)[0].value.frame, frame_of(0, size)) < 2.5
    assert is_right == (matrix == 5)


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_frames_are_upright(tmp_path: Path, degrees: int, is_mirrored: bool) -> None:
    path = write_video(
        tmp_path / "a.mp4",
        options=FINE,
        count=1,
        change=lambda stream: stream.set_display_rotation(degrees, hflip=is_mirrored),
    )
    upright = np.rot90(frame_of(0), degrees // 90)
    with VideoSource(path) as source:
        assert is_mirrored or source.info.rotation % 360 == degrees % 360
        assert source.info.size_wh == upright.shape[1::-1]
        assert difference(frames_of(source)[0].value.frame, upright[:, ::-1] if is_mirrored else upright) < 5


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)], ids=str)
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_times_are_exact(tmp_path: Path, rate: Fraction, name: str) -> None:
    path = write_video(tmp_path / name, rate=rate, options={"preset": "ultrafast", "bf": "2"})
    with VideoSource(path) as source:
        times, info = [frame.time - source.info.start for frame in frames_of(source)], source.info
    unit = info.time_base if name == "a.mkv" else 0  # Matroska rounds to milliseconds
    assert all(abs(time - index / rate) <= unit for index, time in enumerate(times))
    assert len(times) == COUNT
    assert abs(info.frame_rate - rate) < Fraction(1, 100)


def test_variable_times_are_exact(tmp_path: Path) -> None:
    times = [0, 7, 40, 41, 80, 300, 301, 302, 999, 1000, 5000, 5001]
    with VideoSource(write_video(tmp_path / "a.mkv", times=times)) as source:
        assert [frame.time for frame in frames_of(source)] == [Fraction(time, 1000) for time in times]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mpg", "a.h264"])
def test_a_part_begins_and_ends_at_the_exact_frame(tmp_path: Path, name: str) -> None:
    count, path = 48, tmp_path / name
    if name == "a.mpg":
        write_video(path, codec="mpeg2video", options={"g": "12", "bf": "2"}, count=count)
    elif name == "a.h264":
        write_video(path, count=count)
    else:
        options = {"preset": "veryfast", "g": "12", "bf": "3", "x264-params": "open-gop=1"}
        remuxed(write_video(tmp_path / "source.mp4", options=options, count=count), path)
    with VideoSource(path) as source:
        whole, begin = frames_of(source), source.info.start
    assert len(whole) == count
    for first, after in ((0, 3), (1, 12), (13, 15), (24, 48), (47, 48)):
        end = whole[after].time - begin if after < count else None
        with VideoSource(path, start=whole[first].time - begin, end=end) as source:
            part = frames_of(source)
            assert source.info.start == begin
        assert [frame.time for frame in part] == [frame.time for frame in whole[first:after]]
        assert [frame.index for frame in part] == [*range(after - first)]
        for frame, wanted in zip(part, whole[first:after], strict=True):
            assert np.array_equal(frame.value.frame, wanted.value.frame)


def test_a_part_after_the_end_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    with pytest.raises(
        VideoError, match=r"expected pictures from 9.000 s on, seen none, of 0.400 s; choose other times"
    ):
        VideoSource(path, start=Fraction(9))


def test_a_part_between_two_frames_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    with pytest.raises(
        VideoError, match=r"from 0\.110 s on before 0\.120 s, seen none, of 0\.400 s; choose other times"
    ):
        VideoSource(path, start=Fraction("0.11"), end=Fraction("0.12"))


def test_a_stream_that_changes_its_colours_is_read_in_those_of_its_beginning(tmp_path: Path) -> None:
    parts = [
        write_video(tmp_path / f"{number}.h264", options=FINE, count=3, tags=tags)
        for number, tags in enumerate([(5, 1), (1, 2)])
    ]
    (path := tmp_path / "both.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
    with VideoSource(path) as source:
        frames = frames_of(source)
    for index, frame in enumerate(frames):
        assert difference(frame.value.frame, frame_of(index % 3)) < 4
        assert difference(_as_shown(frame.value.picture, (5, 1)), frame_of(index % 3)) < 4


def _as_shown(picture: av.VideoFrame, tags: tuple[int, int]) -> Frame:
    return picture.to_ndarray(format="bgr24", src_colorspace=tags[0], src_color_range=tags[1])  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["shot_%04d.png", "100%_%d.png"])
def test_numbered_pictures_are_one_clip(tmp_path: Path, name: str) -> None:
    for number in range(8, 12):
        cv2.imwrite(str(tmp_path / name.replace("%04d", f"{number:04}").replace("%d", str(number))), frame_of(number))
    for path in (tmp_path, tmp_path / name):
        with VideoSource(path, fps=Fraction(24)) as source:
            frames = frames_of(source)
        assert [frame.time for frame in frames] == [Fraction(index, 24) for index in range(4)]
        assert all(np.array_equal(frame.value.frame, frame_of(8 + frame.index)) for frame in frames)


@pytest.mark.parametrize("damaged", [range(1), range(2, 3), range(3, 6)], ids=str)
def test_pictures_behind_a_damaged_one_are_read(damaged: range, tmp_path: Path) -> None:
    """The last ones, too, which several threads decode when the end is reached."""
    for number in range(6):
        cv2.imwrite(str(path := tmp_path / f"{number}.png"), frame_of(number))
        if number in damaged:
            path.write_bytes(path.read_bytes()[:300])
    with VideoSource(tmp_path, fps=Fraction(24)) as source:
        frames = frames_of(source)
        assert source.lost == len(damaged)
    assert [frame.time * 24 for frame in frames] == [number for number in range(6) if number not in damaged]


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        ([], "seen none"),
        (["a1.png", "a2.png", "a4.png"], "seen none of 3"),
        (["a1.png", "b2.png"], "seen a1.png and b2.png"),
    ],
)
def test_pictures_with_a_gap_are_refused(tmp_path: Path, names: list[str], seen: str) -> None:
    for name in names:
        cv2.imwrite(str(tmp_path / name), frame_of(0))
    with pytest.raises(VideoError, match=seen):
        VideoSource(tmp_path, fps=Fraction(24))


def test_an_empty_picture_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a1.png"), frame_of(0))
    (tmp_path / "a2.png").touch()
    with pytest.raises(VideoError, match=r"seen an empty file, a2\.png"):
        VideoSource(tmp_path, fps=Fraction(24))


CODECS = {
    **dict.fromkeys((".mp4", ".mov", ".mkv", ".ts", ".flv", ".h264", ".nut"), "libx264"),
    **dict.fromkeys((".webm", ".ivf", ".ogv"), "libvpx"),
    **dict.fromkeys((".avi", ".asf"), "mpeg4"),
    **dict.fromkeys((".mpg", ".mxf"), "mpeg2video"),
    ".hevc": "libx265",
    ".y4m": "wrapped_avframe",
}


@pytest.mark.parametrize(("suffix", "codec"), CODECS.items(), ids=CODECS)
def test_a_video_is_known_by_its_content(tmp_path: Path, suffix: str, codec: str) -> None:
    options = {"preset": "ultrafast", "x265-params": "log-level=none", "deadline": "realtime"}
    path = tmp_path / f"a{suffix}"
    write_video(path, codec=codec, options=options, size_wh=(176, 144), rate=Fraction(25), count=4)
    assert is_video(path.rename(tmp_path / "clip.png"))
    with VideoSource(tmp_path / "clip.png") as source:
        assert len(frames_of(source)) == 4
