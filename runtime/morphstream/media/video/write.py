"""Encode the pictures of a video, each in the size and pixel format of its encoder, at its own time."""

import av
import numpy as np
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream

from morphstream.artifact.errors import VideoError
from morphstream.media.video.colour import bgr_of, converted, planes_of
from morphstream.media.video.encoders import Encoder, fit_of, open_encoder
from morphstream.media.video.info import VideoInfo


class PictureEncoder:
    """An opened encoder, for pictures of a video in the order of their times."""

    def __init__(self, encoder: Encoder, info: VideoInfo) -> None:
        """Open an encoder; errors as of `open_encoder`."""
        self._context, self._fit, self._name = open_encoder(encoder, info), fit_of(encoder, info), encoder.name
        self._palette = _palette_graph(info) if self._fit.pixel_format == "pal8" else None
        self._turn, self._time_base = info.turn, info.time_base

    def encode(self, picture: av.VideoFrame) -> "list[Packet[Stream]]":
        """Return the packets that a picture makes ready, in the order in which they are decoded.

        Raises:
            VideoError: The encoder fails.
        """
        fit = self._fit
        if self._palette:
            upright = av.VideoFrame.from_ndarray(
                self._turn.upright(bgr_of(picture)), "bgr24"
            )  # GIF has no matrix for it
            upright.pts, upright.time_base, upright.duration = picture.pts, self._time_base, picture.duration
            self._palette.push(upright)
            picture = self._palette.vpull()
        else:
            tags = (fit.colours.matrix, fit.colours.range) if picture.format.is_rgb else None
            picture = _with_size(converted(picture, fit.pixel_format, tags=tags), fit.size_wh)
        picture.pict_type = 0  # else the encoder makes key frames where the source has some
        return self._encode(picture)

    def flush(self) -> "list[Packet[Stream]]":
        """Return the packets that were still to come, and end the encoder; errors as of `encode`."""
        return self._encode(None)

    def _encode(self, picture: av.VideoFrame | None) -> "list[Packet[Stream]]":
        try:
            return self._context.encode(picture)
        except av.FFmpegError as error:
            raise VideoError(f"{self._name}: expected it to encode a picture, seen {error.strerror or error}") from None


def _with_size(picture: av.VideoFrame, size_wh: tuple[int, int]) -> av.VideoFrame:
    """Return a planar picture whose last column and row are repeated up to a size."""
    if (picture.width, picture.height) == size_wh:
        return picture
    wider = av.VideoFrame(*size_wh, picture.format.name)
    wider.pts, wider.duration = picture.pts, picture.duration
    for new, own in zip(planes_of(wider), planes_of(picture), strict=True):
        new[...] = np.pad(
            own, [(0, after - before) for after, before in zip(new.shape, own.shape, strict=True)], "edge"
        )
    return wider


def _palette_graph(info: VideoInfo) -> Graph:
    """Return a filter that gives each picture a palette of its own, for GIF."""
    graph = Graph()
    width, height = info.size_wh
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("bgr24"), time_base=info.time_base)
    both, palette, use = (
        graph.add("split"),
        graph.add("palettegen", "stats_mode=single"),
        graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4"),
    )
    source.link_to(both)
    both.link_to(use, 0, 0)
    both.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
