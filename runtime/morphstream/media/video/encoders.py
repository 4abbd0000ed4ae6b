"""Choose how a video is encoded: the encoder, its settings, and a pixel format that it takes.

Conventions: a quality is a number as the encoder counts it, where less is better and larger. The usual settings are
those of a copy that looks like its source.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
from av.codec import Codec, find_best_pix_fmt_of_list
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat

from morphstream.artifact.errors import VideoError
from morphstream.media.video.colour import BT601, BT709, LINES_OF_HD
from morphstream.media.video.info import Colours, VideoInfo
from morphstream.media.video.scheduling import usual_scheduling

CONTAINERS: Mapping[str, str] = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".gif": "gif",
}
_SHOWN = ("preset", "deadline", "cpu-used")  # of the options, in words of a report
_LIMITED, _FULL, _BT709_PRIMARIES, _SRGB = 1, 2, 1, 13  # as FFmpeg numbers tags
_USUAL_BITS = 8
_STEADY_X264 = (
    "asm=AVX2,FMA3,BMI2"  # with AVX-512 its rate control reads what it never wrote, and equal pictures differ
)
_GIF_TIME = Fraction(1, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """An encoder of FFmpeg with its settings.

    Attributes:
        name: As FFmpeg names it.
        suffixes: Of the files that hold what it makes.
        quality: 0 and more; None for an encoder that has none.
        most: The worst quality.
        key: Of the quality, among its options.
        options: The others.
        takes_odd: Whether an odd width or height may have colours of half that size.
        is_joinable: Whether packets of two parts of a video, encoded one by one, are those of one video.
        tag: Of its packets in MP4 and MOV, where it isn't the one that FFmpeg takes.
    """

    name: str
    suffixes: tuple[str, ...]
    quality: int | None
    most: int = 51
    key: str = "crf"
    options: Mapping[str, str] = field(default_factory=dict)
    takes_odd: bool = False
    is_joinable: bool = True
    tag: str | None = None

    def __str__(self) -> str:
        settings = {} if self.quality is None else {self.key: str(self.quality)}
        settings |= {key: value for key, value in self.options.items() if key in _SHOWN}
        return ", ".join([self.name, *(f"{key} {value}" for key, value in settings.items())])


_MP4, _ALL = (".mp4", ".m4v", ".mov", ".mkv"), (".mp4", ".m4v", ".mkv", ".webm")
_NVENC = {"preset": "p5", "rc": "vbr"}
_VP9 = {"deadline": "good", "cpu-used": "5", "row-mt": "1"}
_X264 = {"preset": "medium", "rc-lookahead": "20"}  # half the usual frames in memory
_X265 = {"preset": "veryfast", "x265-params": "log-level=none"}
ENCODERS: Mapping[str, Encoder] = {
    encoder.name: encoder
    for encoder in (
        Encoder(name="libx264", suffixes=_MP4, quality=18, options=_X264),
        Encoder(name="libx265", suffixes=_MP4, quality=20, options=_X265, tag="hvc1"),
        Encoder(name="libsvtav1", suffixes=_ALL, quality=26, most=63, options={"preset": "8"}, takes_odd=True),
        Encoder(name="libvpx-vp9", suffixes=_ALL, quality=28, most=63, options=_VP9, takes_odd=True),
        Encoder(name="h264_nvenc", suffixes=_MP4, quality=19, key="cq", options=_NVENC),
        Encoder(name="hevc_nvenc", suffixes=_MP4, quality=21, key="cq", options=_NVENC, tag="hvc1"),
        Encoder(name="av1_nvenc", suffixes=_ALL, quality=26, key="cq", options=_NVENC),
        Encoder(name="gif", suffixes=(".gif",), quality=None, takes_odd=True, is_joinable=False),
    )
}
_USUAL: Mapping[str, tuple[str, ...]] = {".webm": ("libvpx-vp9",), ".gif": ("gif",)}
_USUAL_ANY, _USUAL_DEEP = ("h264_nvenc", "libx264"), ("hevc_nvenc", "libx265")  # of 8 bits, and of more


@dataclass(frozen=True, slots=True)
class Encoding:
    """What a user chooses of how a video is encoded.

    Attributes:
        encoder: One of `ENCODERS`; None for the file's usual one, on the GPU where that has one.
        quality: As the encoder counts it; None for its usual one.

    Raises:
        VideoError: There is no such encoder, or it has no such quality.
    """

    encoder: str | None = None
    quality: int | None = None

    def __post_init__(self) -> None:
        if self.encoder is not None and self.encoder not in ENCODERS:
            raise VideoError(f"encoder: expected one of {', '.join(ENCODERS)}, seen {self.encoder!r}")
        most = ENCODERS[self.encoder].most if self.encoder else 63
        if self.quality is not None and not 0 <= self.quality <= most:
            raise VideoError(f"quality: expected 0..{most}, where less is better, seen {self.quality}")


USUAL = Encoding()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How an encoder takes the pictures of a video.

    Attributes:
        size_wh: With one more column or row where it needs an even number.
        pixel_format: One that it takes, as near to the video's as there is.
        time_base: Unit of the times, in seconds.
        colours: The tags of what it gets.
        notes: What changes, in words.
    """

    size_wh: tuple[int, int]
    pixel_format: str
    time_base: Fraction
    colours: Colours
    notes: tuple[str, ...] = ()


def choose_encoder(encoding: Encoding, suffix: str, info: VideoInfo) -> Encoder:
    """Return the encoder for a file, in the quality that was chosen; it opens on this machine.

    Args:
        encoding: The choice.
        suffix: Of the file, one of `CONTAINERS`.
        info: The video that is encoded.

    Raises:
        VideoError: The file can't hold what the encoder makes, or it has no such quality, or doesn't open here.
    """
    usual = _USUAL.get(suffix, _USUAL_DEEP if info.bits > _USUAL_BITS else _USUAL_ANY)
    encoder = ENCODERS[encoding.encoder or next(name for name in usual if _opens(name, info))]
    if suffix not in encoder.suffixes:
        raise VideoError(f"{encoder.name}: expected a file that ends in {', '.join(encoder.suffixes)}, seen {suffix}")
    if (quality := encoding.quality) is not None:
        if encoder.quality is None or quality > encoder.most:
            expected = "no quality" if encoder.quality is None else f"a quality of 0..{encoder.most}"
            raise VideoError(f"{encoder.name}: expected {expected}, seen {quality}")
        encoder = replace(encoder, quality=quality)
    if encoding.encoder:
        open_encoder(encoder, info)
    return encoder


def _opens(name: str, info: VideoInfo) -> bool:
    """Return whether an encoder works on this machine: one of a GPU is listed on others, too."""
    if not name.endswith("_nvenc"):
        return True
    with suppress(VideoError):
        open_encoder(ENCODERS[name], info)
        return True
    return False


def open_encoder(encoder: Encoder, info: VideoInfo) -> VideoCodecContext:
    """Return an opened encoder.

    Raises:
        VideoError: It doesn't open on this machine, or not for this video.
    """
    context = Codec(encoder.name, "w").create("video")
    context.flags |= Flags.global_header
    configure(context, encoder, info)
    try:
        with usual_scheduling():
            context.open()
    except (av.FFmpegError, ValueError) as error:
        width, height = info.coded_size_wh
        seen = (error.strerror if isinstance(error, av.FFmpegError) else None) or str(error)
        what = f"{width} x {height} {info.pixel_format}"
        raise VideoError(f"{encoder.name}: expected it to open for {what}, seen {seen}; choose another") from None
    return context


def configure(context: VideoCodecContext, encoder: Encoder, info: VideoInfo) -> None:
    """Set what an encoder needs before it is opened, the same for each part and for the file that joins them."""
    if encoder.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors alone: it prints by itself, past FFmpeg
    fit = fit_of(encoder, info)
    context.width, context.height = fit.size_wh
    context.pix_fmt, context.time_base, context.framerate = fit.pixel_format, fit.time_base, info.frame_rate
    context.sample_aspect_ratio = info.sample_aspect
    context.color_range, context.color_primaries = fit.colours.range, fit.colours.primaries
    context.color_trc, context.colorspace = fit.colours.transfer, fit.colours.matrix
    context.bit_rate, context.thread_type = 0, "AUTO"
    quality = {} if encoder.quality is None else {encoder.key: str(encoder.quality)}
    context.options = {**encoder.options, **quality}
    if encoder.name == "libx264" and _has_avx512():
        context.options["x264-params"] = _STEADY_X264


@cache
def _has_avx512() -> bool:
    with suppress(OSError):
        return b" avx512" in Path("/proc/cpuinfo").read_bytes()
    return False


def fit_of(encoder: Encoder, info: VideoInfo) -> Fit:
    """Return how an encoder takes the pictures of a video."""
    notes, (width, height), colours = list[str](), info.coded_size_wh, info.colours
    if encoder.name == "gif":
        notes.append(
            "it has 256 colours a frame, and times in hundredths of a second, so that closer frames are left out"
        )
        return Fit(size_wh=info.size_wh, pixel_format="pal8", time_base=_GIF_TIME, colours=colours, notes=tuple(notes))
    pixel_format = VideoFormat(_pixel_format(encoder, info))
    if not encoder.takes_odd:
        width += width % 2 * (pixel_format.chroma_width(2) == 1)
        height += height % 2 * (pixel_format.chroma_height(2) == 1)
    if (width, height) != info.coded_size_wh:
        notes.append(f"it is {width} x {height}, as {encoder.name} needs even sides: the last line is there twice")
    if (bits := pixel_format.components[0].bits) < info.bits:
        notes.append(f"its colours have {bits} bits, not {info.bits}, as {encoder.name} has no more")
    if info.pixel_format.startswith("gb"):
        matrix = BT709 if height >= LINES_OF_HD else BT601
        colours = Colours(matrix=matrix, range=_LIMITED, primaries=_BT709_PRIMARIES, transfer=_SRGB)
    elif info.pixel_format.startswith("gray"):
        colours = replace(colours, range=colours.range or _FULL)
    return Fit(
        size_wh=(width, height),
        pixel_format=pixel_format.name,
        time_base=info.time_base,
        colours=colours,
        notes=tuple(notes),
    )


def _pixel_format(encoder: Encoder, info: VideoInfo) -> str:
    """Return the encoder's format that is nearest to a video's; for RGB and grey one that every player shows."""
    offered: list[str] = [form.name for form in Codec(encoder.name, "w").video_formats or ()]
    planar = [name for name in offered if name.startswith(("yuv4", "yuvj4", "p010"))]
    if info.pixel_format in planar:
        return info.pixel_format
    if not info.pixel_format.startswith("yuv"):
        deep = [name for name in ("yuv420p10le", "p010le") if name in planar and info.bits > _USUAL_BITS]
        return deep[0] if deep else "yuv420p"
    best, _ = find_best_pix_fmt_of_list(planar, info.pixel_format.replace("yuvj", "yuv"))
    return str(best.name) if best else "yuv420p"
