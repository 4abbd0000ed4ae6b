"""Films: small videos with sound, subtitles and more, what swaps their faces without models, and what is in a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame
from morphstream.media.video.in_parts import VideoSteps
from tests.media.video.videos import picture_of

SIZE = (160, 120)
COUNT = 24
SOMEBODY = Identity(embedding=np.eye(1, 512, dtype=np.float32)[0])
PAINT = (20, 10, 10)
SOUND_RATE = 48_000


def box_of(place: int) -> tuple[slice, slice]:
    """Return where the face of a frame is: it moves, the same however often the run was stopped."""
    left = 8 + 2 * place % 96
    return slice(24, 56), slice(left, left + 32)


class CountingTracker:
    """Finds one face, whose place depends on how many frames came before."""

    def __init__(self, before: Callable[[int], object] = bool) -> None:
        """Begin; a function is called with the number of each frame."""
        self._before, self.place, self.calls = before, 0, list[str]()

    def follow(self, frame: Frame, time: Fraction) -> FoundFaces:  # noqa: ARG002
        """Return the frame with its face."""
        self._before(self.place)
        rows, columns = box_of(self.place)
        box = np.array([columns.start, rows.start, columns.stop, rows.stop], np.float64)
        points = box[:2] + np.array([[8, 8], [24, 8], [16, 16], [8, 24], [24, 24]])
        self.place += 1
        face = Face(box_xyxy=box, points5=points, score=0.9)
        return FoundFaces(frame=frame, faces=[face], assignment={0: SOMEBODY}, tracks=(7,))

    def save(self) -> bytes:
        """Return the place."""
        self.calls.append(f"save {self.place}")
        return str(self.place).encode()

    def restore(self, data: bytes) -> None:
        """Go on at a place."""
        self.calls.append(f"restore {int(data)}")
        self.place = int(data)


class Painter:
    """Paints faces in a colour that brightens from frame to frame until it is cleared, as smoothed masks do."""

    def __init__(self) -> None:
        self.age = 0

    def swap(self, found: FoundFaces) -> Frame:
        """Return the frame with its face painted."""
        frame = found.frame.copy()
        left, top, right, bottom = found.faces[0].box_xyxy.astype(int)
        frame[top:bottom, left:right] = np.array(PAINT) + self.age % 30
        self.age += 1
        return frame

    def clear(self) -> None:
        """Begin with the whole colour."""
        self.age = 0


def painting(before: Callable[[int], object] = bool, **recipe: str) -> VideoSteps:
    """Return steps that paint; a function is called with the number of each frame."""
    painter = Painter()
    tracker = CountingTracker(before)
    return VideoSteps(tracker=tracker, swap=painter.swap, clear=painter.clear, recipe=recipe or {"colour": "green"})


class Nobody(CountingTracker):
    """Finds a face that nobody asked for."""

    def follow(self, frame: Frame, time: Fraction) -> FoundFaces:
        """Return the frame with its face."""
        return replace(super().follow(frame, time), assignment={})


def frame_of(index: int, size_wh: tuple[int, int] = SIZE) -> Frame:
    """Return a frame of smooth colours that move."""
    down, across = np.mgrid[0 : size_wh[1], 0 : size_wh[0]]
    return np.stack([60 + across // 2, 80 + (down + 2 * index) % 120, 200 - across // 2], 2).astype(np.uint8)


def write_film(
    path: Path,
    *,
    count: int = COUNT,
    size_wh: tuple[int, int] = SIZE,
    rate: Fraction = Fraction(25),
    times: tuple[int, ...] | None = None,
    time_base: Fraction | None = None,
    pixel_format: str = "yuv420p",
    tags: tuple[int, int] = (5, 1),
    codec: str = "libx264",
    sound: str | None = "aac",
    options: Mapping[str, str] | None = None,
    frame_of: Callable[[int, tuple[int, int]], Frame] = frame_of,
    change: Callable[[VideoStream], object] = bool,
) -> Path:
    """Write a film with B-frames and a tone; its pictures are at an even rate, or at times in a time base."""
    base = time_base or 1 / rate
    with av.open(path, "w") as file:
        stream = file.add_stream(codec, rate=rate, options=dict(options or {"preset": "veryfast", "crf": "12"}))
        assert isinstance(stream, VideoStream)
        (stream.width, stream.height), stream.pix_fmt = size_wh, pixel_format
        stream.codec_context.time_base = base
        stream.codec_context.colorspace, stream.codec_context.color_range = tags
        change(stream)
        tone = add_tone(file, sound)
        file.metadata["title"] = "A film"
        for index in range(count):
            picture = picture_of(frame_of(index, size_wh), pixel_format, tags)
            picture.pts, picture.time_base = times[index] if times else index, base
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
        seconds = (times[-1] * base if times else count / rate) + 1 / rate
        tone(float(seconds))
    return path


def add_tone(file: OutputContainer, codec: str | None) -> Callable[[float], None]:
    """Add a stream of sound in German; return what writes a tone of some seconds into it."""
    if codec is None:
        return lambda _: None
    stream = cast("AudioStream", file.add_stream(codec, rate=SOUND_RATE))
    stream.metadata.update({"language": "deu", "title": "Ton"})

    def write(seconds: float) -> None:
        size = 960 if codec == "libopus" else 1024
        for start in range(0, int(seconds * SOUND_RATE), size):
            wave = np.sin(2 * np.pi * 440 * np.arange(start, start + size) / SOUND_RATE) * 0.3
            format_ = stream.codec_context.format.name
            scaled = np.stack([wave, wave]).astype(np.float32)
            if not format_.startswith("flt"):
                scaled = (scaled * 32_000).astype(np.int16)
            planes = scaled if format_.endswith("p") else np.ascontiguousarray(scaled.T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(planes, format=format_, layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())

    return write


@dataclass(frozen=True)
class Content:
    """What is in a file: times of its pictures, their pixels, and the packets of each other stream."""

    times: list[Fraction]
    pictures: list[list[bytes]]
    packets: dict[int, list[tuple[Fraction, bytes]]]
    tags: dict[str, str]
    rotation: int


def content_of(path: Path) -> Content:
    """Read a file with PyAV alone."""
    with av.open(path) as file:
        stream = file.streams.video[0]
        pictures = list(file.decode(stream))
        times = [(picture.pts or 0) * fraction_of(stream.time_base) for picture in pictures]
        pixels = [[_pixels(plane) for plane in picture.planes] for picture in pictures]
        tags, rotation = dict(file.metadata), pictures[0].rotation
    with av.open(path) as file:
        packets: dict[int, list[tuple[Fraction, bytes]]] = {}
        for packet in file.demux([stream for stream in file.streams if stream.type in ("audio", "subtitle")]):
            if packet.size:
                time = (packet.pts or 0) * fraction_of(packet.time_base)
                packets.setdefault(packet.stream_index, []).append((time, bytes(packet)))
    return Content(times, pixels, packets, tags, rotation)


def fraction_of(ratio: Fraction | None) -> Fraction:
    """Return a ratio as a Fraction, which PyAV 19 has as a type of its own."""
    assert ratio is not None
    return Fraction(ratio.numerator, ratio.denominator)


def _pixels(plane: VideoPlane) -> bytes:
    """Return a plane without what stands behind each of its lines."""
    size = 1 if plane.line_size < 2 * plane.width else 2
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width * size].tobytes()
