"""Encode frames and sound as they come, into a container that is written or sent at once, as a sink."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import PictureType
from av.video.stream import VideoStream

from morphstream.artifact.errors import VideoError
from morphstream.closing import Closing
from morphstream.frame import Frame
from morphstream.media.live.items import SOUND_FORMAT, SOUND_LAYOUT, SOUND_RATE, LiveFrame, Sound
from morphstream.media.video.colour import BT601, BT709, LINES_OF_HD, converted

_TICK = Fraction(1, 1000)  # FLV and Matroska have no finer times
_KEY_S = 2  # from one key frame to the next: what a player that joins waits at most
_USUAL_RATE = 30  # of which the encoder makes its plans; the times of frames are their own
_BITS = 3  # a second, of each pixel: 2.8 Mbit/s at 720p
_LIMITED, _BT709_PRIMARIES, _SRGB = 1, 1, 13  # as FFmpeg numbers tags
_SLACK = SOUND_RATE // 100  # samples by which times of sound may be inexact


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """What frames are encoded into.

    Attributes:
        name: In messages.
        url: As FFmpeg takes it.
        container: As FFmpeg names it.
        options: Of the container.
        encoder: Of pictures, as FFmpeg names it.
        encoder_options: Its settings.
        threads: Of the encoder; 0 for its usual number.
        is_sent: Whether it goes to a server, at a steady bit rate, and not into a file.
        sound_encoder: Of sound.
        tags: What the stream says of itself.
    """

    name: str
    url: str
    container: str
    options: Mapping[str, str] = field(default_factory=dict)
    encoder: str = "libx264"
    encoder_options: Mapping[str, str]
    threads: int = 0
    is_sent: bool = False
    sound_encoder: str = "aac"
    tags: Mapping[str, str]


class MuxedSink(Closing):
    """A container that is being written; opened at the first frame, whose size all later ones are fitted to."""

    def __init__(self, target: Destination, *, has_sound: bool) -> None:
        self._target, self._has_sound = target, has_sound
        self._container: OutputContainer | None = None
        self._pictures: VideoStream
        self._sound: AudioStream | None = None
        self._origin, self._last, self._next_key = Fraction(0), -1, 0
        self._samples = 0  # of sound that were encoded

    def put(self, item: LiveFrame | Sound | None) -> bool:
        """Encode a frame or sound, and write what is ready.

        Raises:
            VideoError: It can't be opened, encoded or sent.
            OSError: It can't be written, as where a disk is full.
        """
        try:
            if isinstance(item, LiveFrame):
                self._put_frame(item)
            elif item and self._sound:
                self._put_sound(item, self._sound)
        except av.FFmpegError as error:
            raise self._refusal(error) from None
        return True

    def close(self) -> None:
        """Write what was encoded, and the end; errors as of `put`."""
        if (container := self._container) is None:
            return
        self._container = None
        try:
            container.mux(cast("list[Packet[Stream]]", self._pictures.encode(None)))
            if self._sound:
                container.mux(cast("list[Packet[Stream]]", self._sound.encode(None)))
            container.close()
        except av.FFmpegError as error:
            with suppress(av.FFmpegError):
                container.close()
            raise self._refusal(error) from None

    def _put_frame(self, item: LiveFrame) -> None:
        if self._container is None:
            self._open(item)
        stream, container = self._pictures, cast("OutputContainer", self._container)
        context = stream.codec_context
        picture = av.VideoFrame.from_ndarray(fitted(item.frame, (context.width, context.height)), "bgr24")
        tags = context.colorspace, _LIMITED
        picture = converted(picture, "yuv420p", tags=tags)
        picture.pts = self._last = max(self._last + 1, round((item.time - self._origin) / _TICK))
        picture.time_base = _TICK
        if picture.pts >= self._next_key:
            picture.pict_type = PictureType.I
            self._next_key = picture.pts + _KEY_S * _TICK.denominator
        container.mux(cast("list[Packet[Stream]]", stream.encode(picture)))

    def _put_sound(self, item: Sound, stream: AudioStream) -> None:
        place = round((item.time - self._origin) * SOUND_RATE)
        samples, missing = item.samples, place - self._samples
        if missing > _SLACK:
            samples = np.concatenate([np.zeros((missing, 2), np.int16), samples])
        elif missing < -_SLACK:
            samples = samples[-missing:]
        if not len(samples):
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), SOUND_FORMAT, SOUND_LAYOUT)
        frame.rate, frame.pts, frame.time_base = SOUND_RATE, self._samples, Fraction(1, SOUND_RATE)
        self._samples += len(samples)
        packets = cast("list[Packet[Stream]]", stream.encode(frame))
        cast("OutputContainer", self._container).mux(packets)

    def _open(self, first: LiveFrame) -> None:
        target = self._target
        container = av.open(target.url, "w", format=target.container, options=dict(target.options))
        try:
            height, width = (side - side % 2 for side in first.frame.shape[:2])
            stream = cast("VideoStream", container.add_stream(target.encoder, rate=_USUAL_RATE))
            context = stream.codec_context
            context.width, context.height, context.pix_fmt = max(2, width), max(2, height), "yuv420p"
            context.time_base, context.gop_size = _TICK, 10 * _USUAL_RATE
            context.colorspace = BT709 if height >= LINES_OF_HD else BT601
            context.color_range, context.color_primaries, context.color_trc = _LIMITED, _BT709_PRIMARIES, _SRGB
            context.options, context.thread_count = dict(target.encoder_options), target.threads
            if target.is_sent:
                context.bit_rate = rate = max(_BITS * width * height, 500_000)
                context.options |= {"maxrate": str(rate), "bufsize": str(rate // 2)}
            context.flags |= Flags.global_header
            if self._has_sound:
                self._sound = cast("AudioStream", container.add_stream(target.sound_encoder, rate=SOUND_RATE))
                self._sound.codec_context.layout = SOUND_LAYOUT
                self._sound.codec_context.flags |= Flags.global_header
            container.metadata.update(target.tags)
            container.start_encoding()
        except BaseException:
            with suppress(av.FFmpegError):
                container.close()
            raise
        self._container, self._pictures, self._origin = container, stream, first.time

    def _refusal(self, error: av.FFmpegError) -> VideoError | OSError:
        seen = error.strerror or str(error)
        if isinstance(error, OSError) and not self._target.is_sent:
            return OSError(error.errno, seen, self._target.name)
        return VideoError(f"{self._target.name}: expected it to take the stream, seen {seen}; look at its server")


def fitted(frame: Frame, size_wh: tuple[int, int]) -> Frame:
    """Return a frame in another size: scaled to fit in it, in its middle, the rest black; the same if it has that.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR; not modified.
        size_wh: In pixels.
    """
    height, width = frame.shape[:2]
    if 0 <= width - size_wh[0] <= 1 and 0 <= height - size_wh[1] <= 1:  # encoders need even sides
        return np.ascontiguousarray(frame[: size_wh[1], : size_wh[0]])
    scale = min(size_wh[0] / width, size_wh[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size_wh[0] - inner[0]) // 2, (size_wh[1] - inner[1]) // 2
    whole = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    cv2.resize(frame, inner, whole[top : top + inner[1], left : left + inner[0]], interpolation=how)
    return whole
