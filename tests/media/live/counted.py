"""A clip whose frames show their numbers and that beeps each second, and what of it a video has at which times."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from morphstream.frame import Frame
from morphstream.media.video.colour import bgr_of

RATE, SOUND_RATE = 25, 48_000
_BITS, _LOUD, _QUIET_S = 10, 0.1, 0.3


@dataclass(frozen=True, slots=True)
class Seen:
    """What a video has: the number that each frame shows with its time, and when beeps begin, in seconds."""

    frames: list[tuple[int, float]]
    beeps: list[float]

    def distances(self) -> list[float]:
        """Return by how many seconds each frame is later than the sound that the clip had with it."""
        late = float(np.median([beep - round(beep) for beep in self.beeps]))  # as no run is half a second late here
        return [time - number / RATE - late for number, time in self.frames]


def counted_frame(number: int, size_wh: tuple[int, int] = (160, 120)) -> Frame:
    """Return a grey frame that shows its number."""
    return with_number(np.full((size_wh[1], size_wh[0], 3), 100, np.uint8), number)


def with_number(frame: Frame, number: int) -> Frame:
    """Draw the bits of a number into the lowest eighth of a frame, as black and white bars; return the frame."""
    height, width = frame.shape[:2]
    for place, columns in _bars(width):
        frame[height * 7 // 8 :, columns] = 255 * (number >> place & 1)
    return frame


def number_of(frame: Frame) -> int:
    """Return the number that a frame shows."""
    height, width = frame.shape[:2]
    middle = frame[height * 29 // 32 : height * 31 // 32]
    return sum(int(middle[:, columns].mean() > 128) << place for place, columns in _bars(width))


def write_clip(path: Path, *, seconds: float, draw: Callable[[int], Frame] = counted_frame) -> Path:
    """Write the clip as an MKV, of frames that show their numbers; return where."""
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("libx264", rate=RATE)
        pictures.codec_context.height, pictures.codec_context.width = draw(0).shape[:2]
        pictures.codec_context.pix_fmt, pictures.codec_context.options = "yuv420p", {"preset": "ultrafast"}
        sound = file.add_stream("pcm_s16le", rate=SOUND_RATE, layout="stereo")
        for number in range(round(seconds * RATE)):
            picture = av.VideoFrame.from_ndarray(draw(number), "bgr24")
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            file.mux(pictures.encode(picture))
            samples = av.AudioFrame.from_ndarray(beep(number).reshape(1, -1), "s16", "stereo")
            samples.rate = SOUND_RATE
            file.mux(sound.encode(samples))
        file.mux(pictures.encode(None))
        file.mux(sound.encode(None))
    return path


def beep(number: int) -> npt.NDArray[np.int16]:
    """Return the samples ``(N, 2)`` that go with a frame: for 0.2 s of each second a tone, else silence."""
    count = SOUND_RATE // RATE
    times = np.arange(number * count, (number + 1) * count) / SOUND_RATE
    tone = np.cos(2 * np.pi * 1000 * times) * (12_000 if number % RATE < 5 else 0)
    return np.repeat(tone.astype(np.int16)[:, None], 2, 1)


def seen_in(container: InputContainer) -> Seen:
    """Return what a video has; of one that breaks off what is there."""
    frames, beeps, loud_at = list[tuple[int, float]](), list[float](), -1.0
    with suppress(av.FFmpegError):
        for frame in container.decode(container.streams.video[0], *container.streams.audio[:1]):
            if isinstance(frame, av.VideoFrame):
                frames.append((number_of(bgr_of(frame)), frame.time or 0.0))
            elif isinstance(frame, av.AudioFrame):
                for place in np.flatnonzero(_loudness(frame) > _LOUD):
                    at = (frame.time or 0.0) + int(place) / frame.rate
                    beeps += [at] if at - loud_at > _QUIET_S else []
                    loud_at = at
    return Seen(frames, beeps)


def _bars(width: int) -> Iterator[tuple[int, slice]]:
    for place in range(_BITS):
        yield place, slice(place * width // _BITS, (place + 1) * width // _BITS)


def _loudness(frame: av.AudioFrame) -> npt.NDArray[np.float64]:
    samples = frame.to_ndarray().astype(np.float64)
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    return np.asarray(np.abs(samples).max(0) / (32768 if frame.format.name.startswith("s16") else 1))
