"""Open a video's file, find its moving pictures, and refuse what is none."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from morphstream.artifact.errors import VideoError
from morphstream.artifact.regular_file import open_regular
from morphstream.media.kinds import is_address, kind_of

READABLE = "MP4, MOV, MKV, WebM, AVI or another file of moving pictures"
_DEMUXERS = (  # what may read a file: none that reads others because that file says so, as playlists do
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,obu,ivf,yuv4mpegpipe,flv,ogg,asf,mxf,nut,rm,dv,wtv,"
    "gif,apng"
)
_STILL = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails


def open_video(path: Path, *, max_pixels: int, fps: Fraction | None = None) -> tuple[InputContainer, VideoStream]:
    """Open a video and find the stream of its moving pictures, not yet decoded.

    Args:
        path: A regular file; with `fps` a folder of numbered pictures, or a pattern such as ``frame_%04d.png``.
        max_pixels: Most of one picture.
        fps: Numbered pictures a second.

    Raises:
        VideoError: It is no video, has no moving pictures or larger ones, or can't be read.
    """
    if fps is None:
        kind = _check_file(path)
        options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
        container = _opened(path, f"file:{path}", options, kind)
    else:
        pattern, first = _pattern_of(path)
        options = {"framerate": str(fps), "start_number": str(first), "protocol_whitelist": "file"}
        container = _opened(path, pattern, options, None, name="image2")
    try:
        return container, _moving_stream(path, container, max_pixels)
    except VideoError:
        container.close()
        raise


def _check_file(path: Path) -> str | None:
    """Refuse what is no file with content, and return in words what it is if that is known."""
    try:
        with open_regular(path) as file:
            begin = file.read(512)
    except OSError as error:
        if is_address(str(path)) and not path.exists():
            raise VideoError(f"{path}: expected a video's file, seen an address; download it first") from None
        raise VideoError(f"{path}: expected a video, seen {error.strerror}; name a {READABLE}") from None
    if not begin:
        raise VideoError(f"{path}: expected a video, seen an empty file; fetch it again")
    return kind_of(begin)


def _opened(
    path: Path, address: str, options: Mapping[str, str], kind: str | None, *, name: str | None = None
) -> InputContainer:
    try:
        return av.open(address, format=name, options=dict(options), metadata_errors="replace")
    except av.error.FFmpegError as error:
        seen = kind or "a file that is none"
        if kind == "a video":
            seen = f"one without what is needed to read it ({_words(error)}), as where a recording was cut off"
        raise VideoError(f"{path}: expected a video, seen {seen}; name a {READABLE}") from None


def _moving_stream(path: Path, container: InputContainer, max_pixels: int) -> VideoStream:
    moving = [stream for stream in container.streams.video if not stream.disposition & _STILL]
    best = container.streams.best("video")
    stream = next((stream for stream in moving if best and stream.index == best.index), moving[0] if moving else None)
    if stream is None:
        kinds = ", ".join(sorted({"a still picture" if s.type == "video" else s.type for s in container.streams}))
        raise VideoError(f"{path}: expected moving pictures, seen {kinds or 'nothing'} alone; name a {READABLE}")
    if stream.codec_context is None:
        raise VideoError(f"{path}: expected pictures that can be decoded, seen a codec that is not known; convert it")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > max_pixels:
        advice = f"make it smaller, or say --max-pixels {width * height}"
        raise VideoError(f"{path}: expected at most {max_pixels} pixels, seen {width} x {height}; {advice}")
    stream.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(max_pixels)}  # pictures may grow later
    return stream


def _pattern_of(path: Path) -> tuple[str, int]:
    """Return FFmpeg's pattern of numbered pictures, and the first number."""
    raise VideoError(f"{path}: expected a video, seen numbered pictures")


def _words(error: av.error.FFmpegError) -> str:
    return " ".join((error.strerror or str(error)).split())
