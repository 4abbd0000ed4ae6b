"""Open a video's file, find its moving pictures, and refuse what is none."""

import os
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from morphstream.artifact.errors import VideoError
from morphstream.artifact.regular_file import open_regular
from morphstream.media.kinds import VIDEO, is_address, kind_of
from morphstream.media.video.numbered import pattern_of

MAX_PIXELS = 8192 * 4320  # of one picture; the frames that are in memory at a time take 1 GB
READABLE = "an MP4, MOV, MKV, WebM, AVI or another file of moving pictures"
DEMUXERS = (  # what may read a file: none that reads others because that file says so, as playlists do
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,obu,ivf,yuv4mpegpipe,flv,ogg,asf,mxf,nut,rm,dv,wtv,"
    "gif,apng"
)
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_STILL = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails


def open_video(
    path: Path, *, max_pixels: int = MAX_PIXELS, fps: Fraction | None = None
) -> tuple[InputContainer, VideoStream]:
    """Open a video and find the stream of its moving pictures, not yet decoded.

    Args:
        path: A regular file; with `fps` a folder of numbered pictures, or a pattern such as ``frame_%04d.png``.
        max_pixels: Most of one picture.
        fps: Numbered pictures a second.

    Raises:
        VideoError: It is no video, has no moving pictures or larger ones, or can't be read.
    """
    container = open_container(path) if fps is None else _open_numbered(path, fps)
    try:
        return container, moving_stream(path, container, max_pixels)
    except VideoError:
        container.close()
        raise


def open_container(path: Path) -> InputContainer:
    """Open a container of moving pictures, known by its content and not its name.

    Raises:
        VideoError: It is none, or can't be read.
    """
    kind = None
    try:
        with open_regular(path) as file:
            kind = kind_of(begin := os.pread(file.fileno(), 512, 0))
            if not begin:
                raise VideoError(f"{path}: expected a video, seen an empty file; fetch it again")
            options = {"fd": str(file.fileno()), "protocol_whitelist": "fd", "format_whitelist": DEMUXERS}
            try:
                return av.open("fd:", options=dict(options))  # it has the file for itself
            except UnicodeDecodeError:  # of PyAV 18, by tags that aren't UTF-8
                os.lseek(file.fileno(), 0, os.SEEK_SET)
                return av.open("fd:", options=dict(options), metadata_encoding="latin-1")
    except av.error.FFmpegError as error:
        words = " ".join((error.strerror or str(error)).split())
        seen = f"{kind} without its index, as where a recording was cut off ({words})" if kind == VIDEO else kind
        raise VideoError(f"{path}: expected a video, seen {seen or 'a file that is none'}; name {READABLE}") from None
    except OSError as error:
        if is_address(str(path)) and not path.exists():
            raise VideoError(f"{path}: expected a video's file, seen an address; download it first") from None
        raise VideoError(f"{path}: expected a video, seen {error.strerror}; name {READABLE}") from None


def _open_numbered(path: Path, fps: Fraction) -> InputContainer:
    pattern, first = pattern_of(path)
    options = {"framerate": str(fps), "start_number": str(first), "protocol_whitelist": "file"}
    try:
        return av.open(pattern, format="image2", options=options)
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: expected pictures, seen some that can't be read ({error.strerror})") from None


def moving_stream(path: Path, container: InputContainer, max_pixels: int) -> VideoStream:
    """Return the stream of a container's moving pictures; arguments and errors as of `open_video`."""
    moving = [stream for stream in container.streams.video if not stream.disposition & _STILL]
    best = container.streams.best("video")
    stream = next((stream for stream in moving if best and stream.index == best.index), moving[0] if moving else None)
    if stream is None:
        kinds = ", ".join(sorted({"a still picture" if s.type == "video" else s.type for s in container.streams}))
        raise VideoError(f"{path}: expected moving pictures, seen {kinds or 'nothing'} alone; name {READABLE}")
    if stream.codec_context is None:
        raise VideoError(f"{path}: expected pictures that can be decoded, seen a codec that is not known; convert it")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > max_pixels:
        advice = f"make it smaller, or say --max-pixels {width * height}"
        raise VideoError(f"{path}: expected at most {max_pixels} pixels, seen {width} x {height}; {advice}")
    stream.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(max_pixels)}  # pictures may grow later
    return stream


def is_cut(path: Path) -> bool:
    """Return whether an MP4, MOV, MKV or WebM says that it is longer than it is.

    Source: ISO/IEC 14496-12, 4.2 (boxes); RFC 8794, 4 to 6, and RFC 9559 (the Segment of Matroska).
    """
    with open_regular(path) as file:
        whole = os.fstat(file.fileno()).st_size
        place, begin = 0, file.read(64)
        if begin.startswith(b"\x1a\x45\xdf\xa3"):
            segment = begin.find(b"\x18\x53\x80\x67") + 4
            width = 9 - begin[segment].bit_length() if 4 <= segment < len(begin) else 9
            size = int.from_bytes(begin[segment : segment + width]) & (1 << 7 * width) - 1
            return width < 9 and size != (1 << 7 * width) - 1 and segment + width + size > whole
        if begin[4:8] not in _FIRST_BOXES:
            return False
        while place + 8 <= whole:
            file.seek(place)
            head = file.read(16)
            size = int.from_bytes(head[:4])
            size = int.from_bytes(head[8:16]) if size == 1 else size or whole - place
            place += max(size, 8)
        return place > whole
