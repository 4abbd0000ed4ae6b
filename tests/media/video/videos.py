"""Small videos, written by PyAV alone, so that what reads and writes them is not tested by itself."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from morphstream.frame import Frame

SIZE = (160, 120)
COUNT = 12
RATE = Fraction(30)


def frame_of(index: int, size_wh: tuple[int, int] = SIZE) -> Frame:
    """Return a smooth frame with a square that moves; no two are alike."""
    down, across = np.mgrid[0 : size_wh[1], 0 : size_wh[0]]
    frame = np.stack([across * 200 // size_wh[0] + 20, down * 180 // size_wh[1] + 30, 220 - across // 2 % 160], 2)
    frame[10:40, 10 + 4 * index : 40 + 4 * index] = (40, 90, 200)
    return frame.astype(np.uint8)


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    size_wh: tuple[int, int] = SIZE,
    count: int = COUNT,
    times: Sequence[int] | None = None,
    rate: Fraction = RATE,
    options: Mapping[str, str] | None = None,
    container: Mapping[str, str] | None = None,
    container_format: str | None = None,
    tags: tuple[int, int] | None = None,
    change: Callable[[VideoStream], None] = lambda _: None,
) -> Path:
    """Write a video of `frame_of` each index, at an even rate or at `times` in milliseconds.

    Its pictures are of the matrix and the range that `tags` says, and tagged so; `change` changes the stream before it
    is opened.
    """
    with av.open(path, "w", format=container_format, options=dict(container or {})) as file:
        stream = file.add_stream(codec, rate=rate, options=dict(options or {"preset": "ultrafast"}))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size_wh
        stream.pix_fmt = pixel_format
        stream.codec_context.thread_count = 2  # as bytes follow it, and else it follows how many cores there are
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if tags:
            stream.codec_context.colorspace, stream.codec_context.color_range = tags
        change(stream)
        for index in range(count):
            picture = picture_of(frame_of(index, size_wh), pixel_format, tags or (5, 1))
            picture.pts = index if times is None else times[index]
            picture.time_base = 1 / rate if times is None else Fraction(1, 1000)
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return path


def picture_of(frame: Frame, pixel_format: str, tags: tuple[int, int]) -> av.VideoFrame:
    """Return a frame as a picture of a pixel format, with the matrix (1, 5 or 9) and the range of its tags."""
    own = av.VideoFrame.from_ndarray(frame, format="bgr24")
    return own.reformat(format=pixel_format, dst_colorspace=tags[0], dst_color_range=tags[1])


def remuxed(source: Path, path: Path, *, container: Mapping[str, str] | None = None, first: int = 0) -> Path:
    """Copy the packets of a video into another container, from one of them on."""
    with av.open(source) as file, av.open(path, "w", options=dict(container or {})) as out:
        stream = out.add_stream_from_template(file.streams.video[0])
        for number, packet in enumerate(file.demux(file.streams.video[0])):
            if packet.size and number >= first:
                packet.stream = stream
                out.mux(packet)
    return path
