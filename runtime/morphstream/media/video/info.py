"""What a video is, as far as it says so itself."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


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
        sample_aspect: How wide a coded pixel is, in heights; 1 for a square.
        frame_rate: Frames a second, on average.
        time_base: The unit of its pictures' times, in seconds.
        start: When its first frame is shown, in seconds.
        duration_s: How long it says it is; None if it doesn't.
        frames: How many frames it says it has, or how many its duration makes; None if neither is known.
        has_audio: Whether it has sound.
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
    sample_aspect: Fraction
    frame_rate: Fraction
    time_base: Fraction
    start: Fraction
    duration_s: float | None
    frames: int | None
    has_audio: bool
    notes: tuple[str, ...] = ()
