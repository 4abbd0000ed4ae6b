"""A swapped video has the pictures of its source at their exact times, changed where faces are, and all its sound."""

import errno
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

from morphstream.artifact.errors import NoFaceError, VideoError
from morphstream.media.video.encoders import Encoding
from morphstream.media.video.report import Progress, VideoReport
from morphstream.media.video.swap_video import VideoOptions, swap_video
from tests.media.video.films import COUNT, SIZE, Nobody, box_of, content_of, fraction_of, frame_of, painting, write_film

if TYPE_CHECKING:
    from av.container.core import Chapter

UNEVEN = tuple(int(1000 * index + 137 * (index % 3)) for index in range(COUNT))


def swapped(source: Path, output: Path, **options: object) -> VideoReport:
    return swap_video(painting(), source, output, VideoOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "timing",
    [
        pytest.param({}, id="even"),
        pytest.param({"rate": Fraction(30000, 1001)}, id="29.97 a second"),
        pytest.param({"times": UNEVEN, "time_base": Fraction(1, 25000)}, id="uneven"),
    ],
)
def test_times_of_pictures_are_exact_and_sound_is_the_same_bit_for_bit(
    timing: dict[str, object], tmp_path: Path
) -> None:
    source = write_film(tmp_path / "in.mp4", **timing)  # type: ignore[arg-type]
    report = swapped(source, tmp_path / "out.mp4", part_frames=10)
    before, after = content_of(source), content_of(tmp_path / "out.mp4")
    assert after.times == before.times
    assert after.packets == before.packets
    assert len(after.packets[1]) > 40
    assert (report.frames, report.faces, report.swapped, report.tracks, report.lost) == (COUNT, 1, COUNT, 1, 0)
    assert (report.encoder, report.notes) == ("libx264, crf 18, preset medium", ())


def test_a_face_is_changed_and_nothing_around_it(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4")
    swapped(source, tmp_path / "out.mp4", encoding=Encoding("libx264", 0))
    before, after = content_of(source), content_of(tmp_path / "out.mp4")
    for index in range(COUNT):
        own, new = (
            np.frombuffer(content.pictures[index][0], np.uint8).reshape(SIZE[1], -1) for content in (before, after)
        )
        rows, columns = box_of(index)
        assert (np.abs(own[rows, columns].astype(int) - new[rows, columns]) > 5).mean() > 0.9
        outside = np.ones_like(own, bool)
        outside[rows, columns] = False
        assert np.array_equal(own[outside], new[outside])  # quality 0 is without loss


def test_tags_languages_and_chapters_stay_and_it_says_that_it_is_synthetic(tmp_path: Path) -> None:
    source, chapters = write_film(tmp_path / "film.mp4"), tmp_path / "in.mp4"
    with av.open(source) as file, av.open(chapters, "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in file.streams}
        streams[1].metadata.update(file.streams[1].metadata)
        out.metadata["title"] = "A film"
        mark: Chapter = {"id": 1, "start": 0, "end": 400, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}
        out.set_chapters([mark])
        for packet in file.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    swapped(chapters, tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as file:
        assert file.metadata["title"] == "A film"
        assert "Synthetic" in file.metadata["comment"]
        assert file.streams.audio[0].metadata["language"] == "deu"
        (chapter,) = file.chapters()
        assert (chapter["metadata"], chapter["end"] * fraction_of(chapter["time_base"])) == (
            {"title": "One"},
            Fraction(2, 5),
        )


@pytest.mark.parametrize(("suffix", "language"), [(".mp4", "deu"), (".mov", "ger"), (".mkv", "deu")])
def test_sound_keeps_its_title_and_its_language(suffix: str, language: str, tmp_path: Path) -> None:
    source, output = write_film(tmp_path / "in.mp4", count=3), tmp_path / f"out{suffix}"
    swapped(source, output)
    with av.open(output) as file:
        tags = file.streams.audio[0].metadata
    assert (tags.get("title") or tags["name"], tags["language"]) == ("Ton", language)  # FFmpeg reads either


def test_tags_that_the_file_cannot_hold_are_named(tmp_path: Path) -> None:
    film, source = write_film(tmp_path / "film.mkv", count=3, sound=None), tmp_path / "in.mkv"
    with av.open(film) as file, av.open(source, "w") as out:
        stream = out.add_stream_from_template(file.streams.video[0])
        out.metadata.update({"title": "A film", "comment": "mine", "mood": "calm"})
        for packet in file.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    assert swapped(source, tmp_path / "out.mp4").notes == ("tags that a .mp4 can't hold are left out: MOOD",)
    assert not any("tags" in note for note in swapped(source, tmp_path / "out.mkv").notes)


def test_subtitles_attachments_and_flags_of_a_matroska_stay(tmp_path: Path) -> None:
    film, source = write_film(tmp_path / "film.mkv"), tmp_path / "in.mkv"
    lines = [(index * 200, f"Line {index}".encode()) for index in range(4)]
    with av.open(film) as file, av.open(source, "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in file.streams}
        words = out.add_mux_stream("subrip")
        words.metadata["language"], words.disposition = "fra", av.stream.Disposition.forced
        out.add_attachment("font.ttf", "font/ttf", b"a font")
        out.start_encoding()
        for packet in file.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
        for time, text in lines:
            packet = av.Packet(text)
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts, packet.dts, packet.duration = time, time, 150
            out.mux(packet)
    report = swapped(source, tmp_path / "out.mkv")
    assert content_of(tmp_path / "out.mkv").packets == content_of(source).packets
    assert [data for _, data in content_of(source).packets[2]] == [text for _, text in lines]
    with av.open(tmp_path / "out.mkv") as file:
        words, font = file.streams.subtitles[0], file.streams[3]
        assert (words.metadata["language"], words.disposition) == ("fra", av.stream.Disposition.forced)
        assert (font.type, font.metadata["filename"]) == ("attachment", "font.ttf")
    assert report.notes == ()


def test_a_turned_video_stays_turned_and_its_pixels_keep_their_width(tmp_path: Path) -> None:
    def change(stream: av.VideoStream) -> None:
        stream.set_display_rotation(-90)
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    source = write_film(tmp_path / "in.mp4", count=3, change=change)
    for name in ("out.mp4", "out.mov", "out.mkv"):
        swapped(source, tmp_path / name)
        assert content_of(tmp_path / name).rotation == content_of(source).rotation == -90
        with av.open(tmp_path / name) as file:
            assert fraction_of(file.streams.video[0].sample_aspect_ratio) == Fraction(4, 3)
    swapped(source, tmp_path / "out.gif")
    with av.open(tmp_path / "out.gif") as file:
        picture = next(file.decode(video=0)).to_ndarray(format="bgr24")
    assert np.abs(picture.astype(int) - np.rot90(frame_of(0), -1)).mean() < 10


@pytest.mark.parametrize(
    ("pixel_format", "tags", "encoder"),
    [
        ("yuv420p", (1, 1), "libx264"),
        ("yuvj420p", (5, 2), "libx264"),
        ("yuv422p", (9, 1), "libx265"),
        ("yuv420p10le", (9, 1), "libx265"),
        ("yuv444p", (1, 2), "libvpx-vp9"),
        ("yuv420p", (1, 1), "libsvtav1"),
    ],
)
def test_colours_keep_their_tags_and_their_depth(
    pixel_format: str, tags: tuple[int, int], encoder: str, tmp_path: Path
) -> None:
    options = {"crf": "4", "preset": "ultrafast", "x265-params": "log-level=none"} if "10" in pixel_format else None
    codec = "libx265" if "10" in pixel_format else "libx264"
    source = write_film(
        tmp_path / "in.mkv", count=3, pixel_format=pixel_format, tags=tags, sound=None, codec=codec, options=options
    )
    report = swapped(source, tmp_path / "out.mkv", encoding=Encoding(encoder, 4))
    with av.open(source) as before, av.open(tmp_path / "out.mkv") as after:
        own, new = next(before.decode(video=0)), next(after.decode(video=0))
    assert (new.colorspace, max(new.color_range, 1)) == (own.colorspace, max(own.color_range, 1))
    assert new.format.components[0].bits == own.format.components[0].bits
    assert new.format.name.replace("j", "") == own.format.name.replace("j", "")
    differences = np.abs(new.to_ndarray(format="gray16le").astype(int) - own.to_ndarray(format="gray16le"))
    rows, columns = box_of(0)
    differences[rows.start - 8 : rows.stop + 8, columns.start - 8 : columns.stop + 8] = 0
    assert differences.mean() < 1.5 * 257
    assert report.notes == ()


@pytest.mark.parametrize(
    ("name", "sound", "encoder", "note"),
    [
        ("out.webm", "libopus", "libvpx-vp9, crf 28, deadline good, cpu-used 5", "whole milliseconds"),
        ("out.gif", "aac", "gif", "256 colours"),
        ("out.mov", "aac", "libx264, crf 18, preset medium", ""),
    ],
)
def test_a_suffix_says_what_a_video_becomes(name: str, sound: str, encoder: str, note: str, tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4", count=6, sound=sound)
    report = swapped(source, tmp_path / name)
    after = content_of(tmp_path / name)
    assert report.encoder == encoder
    assert note in " ".join(report.notes)
    assert [round(float(time), 2) for time in after.times] == [index / 25 for index in range(6)]
    assert [data for _, data in after.packets.get(1, [])] == (
        [] if name == "out.gif" else [data for _, data in content_of(source).packets[1]]
    )


def test_odd_sides_get_one_more_line_where_the_encoder_needs_it(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.webm", count=3, size_wh=(161, 121), codec="libvpx-vp9", options={}, sound=None)
    report = swapped(source, tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as file:
        picture = next(file.decode(video=0))
    assert (picture.width, picture.height) == (162, 122)
    assert "162 x 122" in report.notes[0]
    swapped(source, tmp_path / "out.webm")
    with av.open(tmp_path / "out.webm") as file:
        picture = next(file.decode(video=0))
    assert (picture.width, picture.height) == (161, 121)


def test_a_part_of_a_video_has_its_sound_from_there_on(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4")
    report = swapped(source, tmp_path / "out.mp4", start=Fraction(2, 5), end=Fraction(4, 5))
    before, after = content_of(source), content_of(tmp_path / "out.mp4")
    assert report.frames == 10
    assert after.times == [Fraction(index, 25) for index in range(10)]
    kept = [data for time, data in before.packets[1] if Fraction(2, 5) <= time < Fraction(4, 5)]
    assert [data for _, data in after.packets[1]] == kept
    assert 0 <= after.packets[1][0][0] < Fraction(1, 40)


def test_progress_says_how_much_is_left(tmp_path: Path) -> None:
    seen = list[Progress]()
    source = write_film(tmp_path / "in.mp4", sound=None)
    swap_video(painting(), source, tmp_path / "out.mp4", progress=seen.append)
    assert [(one.frames, one.total) for one in seen] == [(number, COUNT) for number in range(1, COUNT + 1)]
    assert seen[-1].left_s == 0
    assert seen[0].fps > 0


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(VideoError) as caught:
        work()
    return str(caught.value)


def test_what_cannot_be_written_is_refused_before_the_work_begins(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4", count=2)

    def to(name: str, encoding: Encoding = Encoding()) -> str:  # noqa: B008
        return refusal(lambda: swapped(source, tmp_path / name, encoding=encoding))

    assert to("out.webm") == f"{source}: expected sound that a .webm can hold, seen aac; write a .mkv"
    assert "expected a name that ends in one of .mp4" in to("out.avi")
    wave = write_film(tmp_path / "wave.mkv", count=2, sound="pcm_s16le")  # an MP4 of it fails at its end alone
    assert "expected sound that a .mp4 can hold" in refusal(lambda: swapped(wave, tmp_path / "out.mp4"))
    assert to("out.mkv", Encoding("gif")) == "gif: expected a file that ends in .gif, seen .mkv"
    assert to("out.mp4", Encoding(None, 60)) == "libx264: expected a quality of 0..51, seen 60"
    assert "h264_nvenc: expected it to open for 160 x 120 yuv420p" in to("out.mp4", Encoding("h264_nvenc"))
    assert "expected one of libx264" in refusal(lambda: Encoding("x264"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "wave.mkv"]


def test_a_video_in_which_nobody_is_swapped_is_refused_and_not_written(tmp_path: Path) -> None:
    source, steps = write_film(tmp_path / "in.mp4", count=3, sound=None), painting()
    nobody = replace(steps, tracker=Nobody())
    with pytest.raises(NoFaceError, match="expected a face to swap in 3 frames"):
        swap_video(nobody, source, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_what_the_system_refuses_names_the_output(tmp_path: Path) -> None:
    def fill() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source, output = write_film(tmp_path / "in.mp4", count=3, sound=None), tmp_path / "out.mp4"
    with pytest.raises(OSError, match="No space left") as caught:
        swap_video(painting(lambda _: fill()), source, output)
    assert caught.value.filename == str(output)


def test_numbered_pictures_become_a_video(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for index in range(4):
        cv2.imwrite(str(tmp_path / "frames" / f"f_{index:03}.png"), frame_of(index))
    for source in (tmp_path / "frames", tmp_path / "frames" / "f_%03d.png"):
        report = swapped(source, tmp_path / "out.mp4", fps=Fraction(10))
        assert report.frames == 4
        assert content_of(tmp_path / "out.mp4").times == [Fraction(index, 10) for index in range(4)]
