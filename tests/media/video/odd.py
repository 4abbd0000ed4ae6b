"""Damaged, odd and hostile videos, made by code, and what comes of each."""

import os
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.stream import Disposition
from av.video.stream import VideoStream

from morphstream.media.video.open import MAX_PIXELS
from tests.media.video.videos import COUNT, frame_of, remuxed, write_video

_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
_FAST_START = {"movflags": "faststart"}
_SHORT_GROUPS = {"preset": "ultrafast", "g": "4"}


class Odd(NamedTuple):
    """An odd video: what makes it in a folder, how many frames are read (None: refused), and a part of what is said."""

    make: Callable[[Path], Path]
    frames: int | None = COUNT
    seen: str = ""
    is_lossy: bool = False
    max_pixels: int = MAX_PIXELS


def _whole(name: str, **choices: object) -> Callable[[Path], Path]:
    return lambda folder: write_video(folder / name, **choices)  # type: ignore[arg-type]


def _copied(name: str, **choices: object) -> Callable[[Path], Path]:
    """Return what writes a video as MP4, and copies its packets into another container."""
    return lambda folder: remuxed(write_video(folder / "source.mp4", options=_SHORT_GROUPS), folder / name, **choices)  # type: ignore[arg-type]


def _changed(make: Callable[[Path], Path], change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def changed(folder: Path) -> Path:
        path = make(folder)
        path.write_bytes(change(path.read_bytes()))
        return path

    return changed


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


def _damaged(data: bytes) -> bytes:
    chosen, found = np.random.default_rng(3), bytearray(data)
    for place in chosen.integers(len(data) // 4, len(data) * 3 // 4, 6):
        found[place : place + 20] = chosen.integers(0, 256, 20, np.uint8).tobytes()
    return bytes(found)


def _emptied(data: bytes) -> bytes:
    """Return a file with zeros in its middle."""
    return data[: len(data) // 3] + bytes(len(data) // 3) + data[len(data) // 3 * 2 :]


def _ending_in_zeros(data: bytes) -> bytes:
    return data[: len(data) // 3] + bytes(len(data) * 2 // 3)


def _bytes(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (path := folder / name).write_bytes(data)
        return path

    return make


def _titled(folder: Path) -> Path:
    with av.open(write_video(folder / "plain.mp4")) as file, av.open(folder / "titled.mp4", "w") as out:
        out.metadata["title"] = "caf3"
        stream = out.add_stream_from_template(file.streams.video[0])
        for packet in file.demux(file.streams.video[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return folder / "titled.mp4"


def _two_sizes(folder: Path) -> Path:
    parts = [write_video(folder / f"{width}.h264", size_wh=(width, 120), count=6) for width in (160, 200)]
    (path := folder / "sizes.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def _joined_clocks(folder: Path) -> Path:
    """Write an MPEG transport stream whose times begin anew in its middle."""
    part = write_video(folder / "part.ts", rate=Fraction(5))
    (path := folder / "clocks.ts").write_bytes(2 * part.read_bytes())
    return path


def _with_cover(*, has_film: bool) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        film = write_video(folder / "film.mp4")
        with av.open(film) as file, av.open(folder / "cover.mp4", "w") as out:
            cover = out.add_stream("mjpeg", rate=1)
            cover.width, cover.height, cover.pix_fmt = 400, 300, "yuvj420p"
            cover.disposition = Disposition.attached_pic
            source = file.streams.video[0]
            streams = [out.add_stream_from_template(source)] if has_film else []
            picture = av.VideoFrame.from_ndarray(frame_of(0, (400, 300)), format="bgr24")
            out.mux(cover.encode(picture.reformat(format="yuvj420p")))
            out.mux(cover.encode())
            for packet in file.demux(source) if streams else ():
                if packet.size:
                    packet.stream = streams[0]
                    out.mux(packet)
        return folder / "cover.mp4"

    return make


def _sound(folder: Path) -> Path:
    with av.open(folder / "sound.m4a", "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=44_100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44_100
        out.mux(stream.encode(sound))
        out.mux(stream.encode())
    return folder / "sound.m4a"


def _turned(degrees: float, *, is_mirrored: bool = False) -> Callable[[Path], Path]:
    return _whole("turned.mp4", change=lambda stream: stream.set_display_rotation(degrees, hflip=is_mirrored))


def _wide(stream: VideoStream) -> None:
    stream.codec_context.sample_aspect_ratio = Fraction(64, 45)


def _hdr(stream: VideoStream) -> None:
    stream.codec_context.color_primaries, stream.codec_context.color_trc = 9, 16


def _huge(side: int) -> Callable[[bytes], bytes]:
    """Return what makes the pictures of motion JPEG say that they are so many pixels wide and high."""
    return lambda data: re.sub(rb"(\xff\xc0\0.\x08)....", rb"\1" + 2 * struct.pack(">H", side), data, flags=re.DOTALL)


def _with_atom(name: bytes, place: int, number: int) -> Callable[[bytes], bytes]:
    """Return what writes a number into each of an MP4's boxes of a name."""
    body = b"(" + name + b"." * place + b")...."
    return lambda data: re.sub(body, lambda found: found[1] + struct.pack(">I", number), data, flags=re.DOTALL)


def _with_samples(data: bytes) -> bytes:
    """Return an MP4 whose index says that it has 500 million pictures of 5 bytes."""
    place = data.index(b"stsz")
    return data[: place + 8] + struct.pack(">II", 5, 500_000_000) + data[place + 16 :]


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def _link(folder: Path) -> Path:
    (folder / "link.mp4").symlink_to(folder / "nothing.mp4")
    return folder / "link.mp4"


def _picture(folder: Path) -> Path:
    with av.open(folder / "picture.png", "w", format="image2", options={"update": "1"}) as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "rgb24"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(frame_of(0), format="bgr24").reformat(format="rgb24")))
        out.mux(stream.encode())
    return folder / "picture.png"


_MP4, _FAST = (
    _whole("clip.mp4", options=_SHORT_GROUPS),
    _whole("fast.mp4", options=_SHORT_GROUPS, container=_FAST_START),
)
_PARTS = _whole("parts.mp4", options=_SHORT_GROUPS, container=_FRAGMENTED)
_MJPEG = _whole("huge.mov", codec="mjpeg", pixel_format="yuvj420p", options={})
_GIF = _whole("clip.gif", codec="gif", options={}, pixel_format="rgb8")
_MKV, _TS = _copied("clip.mkv"), _copied("clip.ts")
_NONE = "pictures that can be decoded, seen none"
_MPEG4 = {"codec": "mpeg4", "options": {"g": "4", "bf": "2"}}
_VP9 = {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}
_HEVC = {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "log-level=none"}}

DAMAGED = {
    "an empty file": Odd(_bytes("empty.mp4", b""), None, "an empty file"),
    "an MP4 without its end": Odd(_changed(_MP4, _cut), None, "a video without its index"),
    "a fast-start MP4 without its end": Odd(_changed(_FAST, _cut), 4, "cut off", is_lossy=True),
    "a fragmented MP4 without its end": Odd(_changed(_PARTS, _cut), 4, "cut off", is_lossy=True),
    "an MKV without its end": Odd(_changed(_MKV, _cut), 4, "cut off", is_lossy=True),
    "a TS without its end": Odd(_changed(_TS, _cut), 5),
    "an AVI without its end": Odd(_changed(_whole("clip.avi", **_MPEG4), _cut), 1, is_lossy=True),
    "an FLV without its end": Odd(_changed(_copied("clip.flv"), _cut), 4, is_lossy=True),
    "a damaged MP4": Odd(_changed(_FAST, _damaged), 11, is_lossy=True),
    "a damaged MKV": Odd(_changed(_MKV, _damaged), 12, is_lossy=True),
    "a TS with a hole": Odd(_changed(_TS, _emptied), 8, is_lossy=True),
    "an MP4 with zeros for its pictures": Odd(_changed(_FAST, _ending_in_zeros), 1, is_lossy=True),
    "an MKV without pictures": Odd(_changed(_MKV, lambda data: data[:700]), None, _NONE),
    "an MKV that begins amid a group": Odd(_copied("late.mkv", first=2), 8),
}
ODD = {
    "a cover beside the film": Odd(_with_cover(has_film=True)),
    "a cover alone": Odd(_with_cover(has_film=False), None, "a still picture alone"),
    "sound alone": Odd(_sound, None, "audio alone"),
    "two sizes": Odd(_two_sizes, 12, "of another size, fitted to 160 x 120: 6"),
    "odd sizes": Odd(_whole("odd.mkv", codec="ffv1", size_wh=(161, 121), options={})),
    "two pixels": Odd(_whole("small.mkv", codec="ffv1", size_wh=(2, 1), options={}, pixel_format="yuv444p")),
    "a variable frame rate": Odd(_whole("vfr.mkv", times=[0, 7, 40, 41, 80, 300, 301, 302, 999, 1000, 5000, 5001])),
    "a gap of ten hours": Odd(_whole("gap.mkv", times=[*range(0, 1100, 100), 36_000_000])),
    "times that begin anew": Odd(_joined_clocks, 24, "time"),
    "raw H.264, without times": Odd(_whole("raw.h264"), 12, "without a time"),
    "turned by a right angle": Odd(_turned(90)),
    "turned by 45 degrees": Odd(_turned(45), 12, "turned by 45 degrees"),
    "mirrored": Odd(_turned(0, is_mirrored=True)),
    "wide pixels": Odd(_whole("wide.mp4", change=_wide)),
    "10 bits": Odd(_whole("deep.mkv", pixel_format="yuv420p10le", **_HEVC)),
    "HDR": Odd(_whole("hdr.mkv", pixel_format="yuv420p10le", tags=(9, 1), change=_hdr, **_HEVC), 12, "HDR (PQ)"),
    "gray": Odd(_whole("gray.mkv", codec="ffv1", options={}, pixel_format="gray")),
    "RGB": Odd(_whole("rgb.mov", codec="png", options={}, pixel_format="rgb24")),
    "a palette": Odd(_GIF),
    "VP9 with alpha": Odd(_whole("alpha.webm", pixel_format="yuva420p", **_VP9), 12, "transparency"),
    "tags that are not UTF-8": Odd(_changed(_titled, lambda data: data.replace(b"caf3", b"caf\xe9"))),
    "one picture": Odd(_whole("one.mp4", count=1), 1),
}
HOSTILE = {
    "larger pictures than may be": Odd(
        _whole("large.mp4", size_wh=(320, 240)), None, "--max-pixels 76800", max_pixels=60_000
    ),
    "pictures that say they are huge": Odd(_changed(_MJPEG, _huge(60_000)), None, _NONE),
    "pictures that say they are large": Odd(_changed(_MJPEG, _huge(16_000)), None, _NONE),
    "a GIF that says it is huge": Odd(_changed(_GIF, lambda data: data[:6] + b"\xff" * 4 + data[10:]), None, _NONE),
    "half a billion pictures": Odd(_changed(_FAST, _with_samples), None, _NONE),
    "half a billion pictures in a fragment": Odd(
        _changed(_PARTS, _with_atom(b"trun", 4, 500_000_000)), None, "without its index"
    ),
    "half a billion times": Odd(_changed(_FAST, _with_atom(b"stts", 8, 500_000_000)), 12),
    "no time scale": Odd(_changed(_FAST, _with_atom(b"mdhd", 12, 0)), None, _NONE),
    "pictures of four years": Odd(_changed(_FAST, _with_atom(b"stts", 12, 0x7FFFFFFF)), 1, is_lossy=True),
    "a playlist": Odd(_bytes("list.mp4", b"#EXTM3U\n#EXTINF:9,\n/etc/hostname\n"), None, "seen a file that is none"),
    "a list of files": Odd(_bytes("list.mkv", b"ffconcat version 1.0\nfile /etc/hostname\n"), None, "none"),
    "a web page": Odd(_bytes("page.mp4", b"<!DOCTYPE html><html>404</html>"), None, "a web page"),
    "a picture": Odd(_picture, None, "picture"),
    "an address": Odd(lambda _: Path("https://example.org/clip.mp4"), None, "an address; download it first"),
    "a pipe": Odd(_pipe, None, "a pipe"),
    "a folder": Odd(lambda folder: folder, None, "directory"),
    "a link to nothing": Odd(_link, None, "No such file"),
}
