"""Read a video's file, or a stream at an address, as a feed."""

import errno
import ssl
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from morphstream.artifact.errors import VideoError
from morphstream.closing import Closing
from morphstream.frame import Frame
from morphstream.media.live.address import shown
from morphstream.media.live.items import SOUND_FORMAT, SOUND_LAYOUT, SOUND_RATE, Picture, Sound, clock_time
from morphstream.media.video.colour import bgr_of, converted
from morphstream.media.video.decode import fraction_of, time_base_of
from morphstream.media.video.open import DEMUXERS, MAX_PIXELS, moving_stream, open_video
from morphstream.media.video.turn import UPRIGHT, Turn, display_matrix_of, turn_of

_ANSWER_S, _READ_S, _PLAYLIST_S = 10.0, 5.0, 30.0  # a playlist's next part comes seconds after the one before
_PROTOCOLS = "http,https,httpproxy,rtmp,rtmps,rtmpt,rtsp,rtp,srtp,udp,tcp,tls,crypto"  # none that reads files here
_LIVE_DEMUXERS = f"{DEMUXERS},hls,rtsp,sdp,rtp,mpjpeg,mjpeg"
# not "nobuffer": it drops what was read to learn what the stream is, and so every picture until the next key frame
_LOW_LATENCY = {"analyzeduration": "1000000", "probesize": "500000", "rtsp_transport": "tcp"}
_SLACK = Fraction(1, 200)  # by which times may be inexact, as FLV's are


class MediaFeed(Closing):
    """Pictures and sound of a container, as a `morphstream.media.live.input.Feed`.

    Attributes:
        has_sound: Whether it has sound.
        is_paced: Whether it could be read faster than it is to be shown.
        is_finite: Whether it has an end.
    """

    def __init__(
        self,
        name: str,
        container: InputContainer,
        pictures: VideoStream,
        *,
        is_paced: bool,
        size_wh: tuple[int, int] | None = None,
        fps: Fraction | None = None,
    ) -> None:
        """Begin before the first packet.

        Args:
            name: In messages.
            container: Closed with the feed.
            pictures: Its stream of pictures.
            is_paced: As the attribute.
            size_wh: Larger pictures are scaled down to fit in it; None for their own size.
            fps: Most pictures a second; None for all.
        """
        self._name, self._container, self._pictures = name, container, pictures
        self._size_wh, self._step, self._next = size_wh, 1 / fps if fps else None, Fraction(0)
        sound = cast("AudioStream | None", container.streams.best("audio"))
        self._sound = sound if sound is not None and sound.codec_context else None
        self.has_sound, self.is_paced, self.is_finite = self._sound is not None, is_paced, bool(container.duration)
        self._has_times = container.format.name not in {"mpjpeg", "mjpeg"}
        streams: list[Stream] = [pictures, *([self._sound] if self._sound else [])]
        self._packets: Iterator[Packet[Stream]] = iter(container.demux(streams))
        self._ready = deque[Picture | Sound]()
        self._turn: Turn | None = None
        self._resampler: AudioResampler | None = None

    def close(self) -> None:
        """Disconnect."""
        self._container.close()

    def read(self) -> Picture | Sound | None:
        """Return what comes next, None at the end; pictures that are damaged are left out.

        Raises:
            VideoError: Nothing comes any more, though this isn't the end.
        """
        while not self._ready:
            try:
                packet = next(self._packets, None)
            except av.error.FFmpegError as error:
                raise _refusal(self._name, "more of it", error) from None
            if packet is None:
                return None
            try:
                self._ready.extend(self._decoded(packet))
            except (av.error.InvalidDataError, av.error.ArgumentError):
                continue
        return self._ready.popleft()

    def _decoded(self, packet: "Packet[Stream]") -> Iterator[Picture | Sound]:
        for frame in packet.decode():
            if isinstance(frame, av.AudioFrame):
                yield from self._sound_of(frame)
            elif isinstance(frame, av.VideoFrame) and not frame.is_corrupt:
                placed = clock_time() if not self._has_times else (frame.pts or 0) * time_base_of(self._pictures)
                if self._is_wanted(placed):
                    aspect = fraction_of(self._pictures.sample_aspect_ratio) or Fraction(1)
                    yield Picture(placed, partial(self._frame_of, frame, aspect))  # which may be called after `close`

    def _is_wanted(self, placed: Fraction) -> bool:
        """Return whether a picture isn't one too many a second."""
        step = self._step
        if step is None:
            return True
        late = placed - self._next
        if -1 < late < -_SLACK:
            return False
        self._next = (self._next if abs(late) < step else placed) + step
        return True

    def _frame_of(self, picture: av.VideoFrame, aspect: Fraction) -> Frame:
        if self._turn is None:
            self._turn = turn_of(display_matrix_of(picture)) or UPRIGHT
        width, height = round(picture.width * aspect), picture.height
        if self._size_wh:
            most = self._size_wh[:: -1 if self._turn.is_transposed else 1]
            scale = min(Fraction(1), Fraction(most[0], width), Fraction(most[1], height))
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
        return self._turn.upright(bgr_of(converted(picture, "bgr24", size_wh=(width, height))))

    def _sound_of(self, frame: av.AudioFrame) -> Iterator[Sound]:
        placed = None if frame.pts is None else frame.pts * (fraction_of(frame.time_base) or Fraction(1, frame.rate))
        if placed is None:
            return
        if self._resampler is None:
            self._resampler = AudioResampler(SOUND_FORMAT, SOUND_LAYOUT, SOUND_RATE)
        try:
            pieces = self._resampler.resample(frame)
        except ValueError:  # it has another rate or other channels from here on
            self._resampler = AudioResampler(SOUND_FORMAT, SOUND_LAYOUT, SOUND_RATE)
            pieces = self._resampler.resample(frame)
        for piece in pieces:
            samples = piece.to_ndarray().reshape(-1, 2).astype(np.int16, copy=False)
            yield Sound(samples=samples, time=placed)
            placed += Fraction(len(samples), SOUND_RATE)


def open_file(path: Path, *, size_wh: tuple[int, int] | None = None, fps: Fraction | None = None) -> MediaFeed:
    """Open a video's file, to be shown at its own speed; arguments as of `MediaFeed`, errors of `open_video`."""
    container, pictures = open_video(path)
    return MediaFeed(str(path), container, pictures, is_paced=True, size_wh=size_wh, fps=fps)


def open_address(address: str, *, size_wh: tuple[int, int] | None = None, fps: Fraction | None = None) -> MediaFeed:
    """Open a stream at an address; arguments as of `MediaFeed`.

    Raises:
        VideoError: Nobody answers, or what comes has no pictures that can be read.
    """
    name, parts = shown(address), urlsplit(address)
    is_playlist = parts.path.endswith((".m3u8", ".m3u"))
    options = {"protocol_whitelist": _PROTOCOLS, "format_whitelist": _LIVE_DEMUXERS}
    is_live = parts.scheme.startswith(("rtsp", "rtmp"))
    options |= _LOW_LATENCY if is_live else {}  # which loses the first pictures
    options |= {"tls_verify": "1", "ca_file": ssl.get_default_verify_paths().cafile or ""}  # FFmpeg trusts anybody
    try:
        container = av.open(address, options=options, timeout=(_ANSWER_S, _PLAYLIST_S if is_playlist else _READ_S))
    except (av.error.FFmpegError, UnicodeError) as error:
        raise _refusal(name, "a stream", error) from None
    try:
        pictures = moving_stream(Path(name), container, MAX_PIXELS)
        pictures.thread_type = "SLICE"  # the other way holds pictures back
        is_paced = not is_live and container.format.name != "mpjpeg"
        return MediaFeed(name, container, pictures, is_paced=is_paced, size_wh=size_wh, fps=fps)
    except BaseException:
        container.close()
        raise


def _refusal(name: str, expected: str, error: Exception) -> VideoError:
    is_late = isinstance(error, av.error.ExitError)
    seen = "no answer" if is_late else getattr(error, "strerror", None) or str(error)
    remedy = "see to it that it is sent"
    if name.startswith(("https:", "rtsps:", "rtmps:")):
        remedy = f"{remedy}, and that its certificate is right, or trusted by the file that SSL_CERT_FILE names"
    if name.startswith("http") and getattr(error, "errno", None) == errno.EIO:
        remedy = f"{remedy}; an MP4 with its index at the end needs a server that answers ranges"
    return VideoError(f"{name}: expected {expected}, seen {seen}; {remedy}")
