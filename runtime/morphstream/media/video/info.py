"""What a video is, as far as it says so itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from morphstream.media.video.colour import converted, planar_format
from morphstream.media.video.decode import fraction_of, rate_of, time_base_of
from morphstream.media.video.turn import UPRIGHT, Turn, display_matrix_of, turn_of

_HDR = {16: "HDR (PQ)", 18: "HDR (HLG)"}  # by transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """How a video's numbers become colours; tags as FFmpeg numbers them (AVColorSpace and its like).

    Attributes:
        matrix: Of luma and colour differences, 2 if it isn't tagged.
        range: 1 limited, 2 full, 0 not tagged.
        primaries: What red, green and blue are.
        transfer: From numbers to light.
    """

    matrix: int
    range: int
    primaries: int
    transfer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What a video is.

    Attributes:
        path: Where it was read from.
        container: As FFmpeg names it: ``mov,mp4,m4a,3gp,3g2,mj2``.
        codec: As FFmpeg names it: ``h264``.
        stream: The index of the stream that is read.
        size_wh: Of its upright frames, in pixels.
        coded_size_wh: Of its pictures, in pixels.
        pixel_format: Of its pictures, planar.
        bits: Of a colour, 8 to 16.
        colours: Its tags.
        rotation: How far it is turned counterclockwise to be upright: 0, 90, 180 or -90 degrees.
        display_matrix: Nine numbers as the container has them, None for none.
        turn: What makes its pictures upright.
        sample_aspect: How wide a coded pixel is, in heights; 1 for a square.
        frame_rate: Frames a second, on average.
        time_base: The unit of its pictures' times, in seconds.
        start: When its first frame is shown, in seconds.
        duration_s: How long it says it is; None if it doesn't.
        frames: How many frames it says it has, or how many its duration makes; None if neither is known.
        notes: What of it isn't read as one may expect, in words.
    """

    path: Path
    container: str
    codec: str
    stream: int
    size_wh: tuple[int, int]
    coded_size_wh: tuple[int, int]
    pixel_format: str
    bits: int
    colours: Colours
    rotation: int
    display_matrix: tuple[int, ...] | None
    turn: Turn
    sample_aspect: Fraction
    frame_rate: Fraction
    time_base: Fraction
    start: Fraction
    duration_s: float | None
    frames: int | None
    notes: tuple[str, ...] = ()

    def frames_between(self, start: Fraction | None, end: Fraction | None) -> int | None:
        """Return about how many frames are shown between two times, seconds from the beginning; None if unknown."""
        if start is None and end is None:
            return self.frames
        ends = [time for time in (end, self.duration_s) if time is not None]
        return max(1, round((min(ends) - (start or 0)) * self.frame_rate)) if ends else None


def describe(
    path: Path, container: InputContainer, stream: VideoStream, first: av.VideoFrame, *, is_cut: bool
) -> VideoInfo:
    """Return what a video is, by its stream and its first picture as decoded; `is_cut`: whether it lacks its end."""
    rate, time_base = rate_of(stream), time_base_of(stream)
    matrix = display_matrix_of(converted(first, "bgr24"))  # of one that isn't written to later
    turn = turn_of(matrix)
    size = first.width, first.height
    planar = planar_format(first.format)
    own = stream.duration
    duration_s = (container.duration or 0) / av.time_base if own is None else float(own * time_base)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        stream=stream.index,
        size_wh=size[::-1] if turn and turn.is_transposed else size,
        coded_size_wh=size,
        pixel_format=planar,
        bits=av.VideoFormat(planar).components[0].bits,
        colours=_colours_of(first),
        rotation=first.rotation,
        display_matrix=matrix,
        turn=turn or UPRIGHT,
        sample_aspect=fraction_of(stream.sample_aspect_ratio) or Fraction(1),
        frame_rate=rate,
        time_base=time_base,
        start=(first.pts or 0) * time_base,
        duration_s=duration_s or None,
        frames=stream.frames or round(duration_s * rate) or None,
        notes=tuple(_notes(stream, first, is_cut=is_cut, is_askew=turn is None)),
    )


def _colours_of(picture: av.VideoFrame) -> Colours:
    return Colours(
        matrix=picture.colorspace,
        range=picture.color_range,
        primaries=picture.color_primaries,
        transfer=picture.color_trc,
    )


def _notes(stream: VideoStream, first: av.VideoFrame, *, is_cut: bool, is_askew: bool) -> Iterator[str]:
    """Yield what of a video isn't read as one may expect."""
    if is_cut:
        yield "the file is cut off; what is there is read"
    if is_askew:
        yield f"turned by {first.rotation} degrees, and read as it is coded"
    if first.color_trc in _HDR:
        yield f"{_HDR[first.color_trc]}: faces are swapped in its own numbers, as if it were SDR"
    if first.interlaced_frame:
        yield "interlaced: both fields of a picture are swapped as one"
    if stream.metadata.get("alpha_mode") == "1" and not any(part.is_alpha for part in first.format.components):
        yield "its transparency is left out"
