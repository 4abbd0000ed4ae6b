"""Read a video frame by frame, upright, each with its time; damage is passed over and counted."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from morphstream.artifact.errors import VideoError
from morphstream.frame import Timed
from morphstream.media.video.colour import matrix_of, planar_format, range_of
from morphstream.media.video.info import Colours, VideoInfo
from morphstream.media.video.open import open_video
from morphstream.media.video.picture import VideoFrame, upright_frame
from morphstream.media.video.turn import display_matrix_of, turn_of

MAX_PIXELS = 8192 * 4320  # of one picture; the frames that are in memory at a time take 1 GB
_MOST_BACK_S = 1  # a time further back than this begins a new count


class VideoSource:
    """A video that is read from its file, as a `morphstream.stream.run.FrameSource` of `VideoFrame`.

    Attributes:
        info: What it is.
        lost: How many pictures were damaged or missing so far.
        resized: How many had another size or pixel format than the first one, and were fitted to it.
        retimed: How many had no time, or one that isn't after the one before, and were given one.
    """

    def __init__(
        self,
        path: Path,
        *,
        start: Fraction | None = None,
        end: Fraction | None = None,
        max_pixels: int = MAX_PIXELS,
        fps: Fraction | None = None,
    ) -> None:
        """Open a video, and decode its first picture.

        Args:
            path: A regular file; with `fps` a folder of numbered pictures, or a pattern such as ``frame_%04d.png``.
            start: The first frame's time at least, in seconds from the video's beginning.
            end: All frames' times are before it, in seconds from the video's beginning.
            max_pixels: Most of one picture.
            fps: Numbered pictures a second.

        Raises:
            VideoError: It is no video, has no moving pictures or larger ones, or no picture can be decoded.
        """
        self.lost = self.resized = self.retimed = 0
        self._path, self._index = path, 0
        self._start, self._end = start, end
        self._container, self._stream = open_video(path, max_pixels=max_pixels, fps=fps)
        try:
            self._time_base = _fraction(self._stream.time_base) or Fraction(1, 1000)
            self._rate = _fraction(self._stream.average_rate) or _fraction(self._stream.guessed_rate) or Fraction(25)
            self._last_pts: int | None = None
            self._shift = 0
            self._pictures = self._decode()
            self._first: av.VideoFrame | None
            begin = self._begin()
            self.info, self._first = self._describe(begin), begin
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def read(self) -> Timed[VideoFrame] | None:
        """Return the next frame, None at the end.

        Raises:
            VideoError: The colours of a picture are of a kind that isn't known.
        """
        picture, self._first = self._first or next(self._pictures, None), None
        if picture is None:
            return None
        picture = self._fitted(picture)
        time = (picture.pts or 0) * self._time_base
        frame = VideoFrame(index=self._index, time=time, frame=upright_frame(picture), picture=picture)
        self._index += 1
        return Timed(value=frame, index=frame.index, time=time)

    def _begin(self) -> av.VideoFrame:
        if first := next(self._pictures, None):
            return first
        raise VideoError(f"{self._path}: expected pictures that can be decoded, seen none; fetch it again")

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield pictures in the order of their times, and count those that are damaged."""
        for packet in self._packets():
            try:
                pictures = self._stream.decode(packet)
            except av.error.FFmpegError:
                self.lost += 1
                continue
            for picture in pictures:
                self.lost += picture.is_corrupt
                self._give_time(picture)
                yield picture

    def _packets(self) -> "Iterator[av.Packet[VideoStream] | None]":
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:  # in Matroska pictures have no dts, as what ends a stream has none
                    yield packet
        except av.error.FFmpegError:
            self.lost += 1
        yield None

    def _give_time(self, picture: av.VideoFrame) -> None:
        """See to it that a picture has a time which is after the one before."""
        step = max(1, round(1 / self._rate / self._time_base))
        last, pts = self._last_pts, picture.pts
        if pts is None:
            pts = 0 if last is None else last + step
            self.retimed += 1
        pts += self._shift
        if last is not None and pts <= last:
            self.retimed += 1
            if (last - pts) * self._time_base > _MOST_BACK_S:
                self._shift += last + step - pts
                pts = last + step
            else:
                pts = last + 1
        picture.pts = self._last_pts = pts

    def _fitted(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return a picture in the size, pixel format and colours of the first."""
        info = self.info
        matrix, own = matrix_of(picture), range_of(picture)
        is_alike = (picture.width, picture.height) == info.coded_size_wh and picture.format.name == info.pixel_format
        if is_alike:
            return picture
        width, height = info.coded_size_wh
        is_resized = (picture.width, picture.height) != info.coded_size_wh
        self.resized += is_resized
        return picture.reformat(
            width=width,
            height=height,
            format=info.pixel_format,
            interpolation=Interpolation.BICUBIC if is_resized else Interpolation.POINT,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=own,
            dst_color_range=2 if info.pixel_format.startswith("gb") else own,
            threads=1,
        )

    def _describe(self, picture: av.VideoFrame) -> VideoInfo:
        container, stream = self._container, self._stream
        matrix = display_matrix_of(picture)
        turn = turn_of(matrix)
        size = picture.width, picture.height
        planar = planar_format(picture.format)
        duration = stream.duration and stream.duration * self._time_base
        if duration is None and container.duration:
            duration = Fraction(container.duration, 1_000_000)
        frames = stream.frames or (round(duration * self._rate) if duration else None)
        return VideoInfo(
            path=self._path,
            container=container.format.name,
            codec=stream.codec_context.name,
            stream=stream.index,
            size_wh=size[::-1] if turn and turn.is_transposed else size,
            coded_size_wh=size,
            pixel_format=planar,
            bits=av.VideoFormat(planar).components[0].bits,
            colours=Colours(
                matrix=picture.colorspace,
                range=picture.color_range,
                primaries=picture.color_primaries,
                transfer=picture.color_trc,
            ),
            rotation=picture.rotation,
            display_matrix=matrix,
            sample_aspect=_fraction(stream.sample_aspect_ratio) or Fraction(1),
            frame_rate=self._rate,
            time_base=self._time_base,
            start=(picture.pts or 0) * self._time_base,
            duration_s=float(duration) if duration else None,
            frames=frames,
            has_audio=bool(container.streams.audio),
        )


def _fraction(ratio: Fraction | None) -> Fraction | None:
    """Return a ratio as a Fraction, which PyAV 19 has as a type of its own; None for none and for 0."""
    return Fraction(ratio.numerator, ratio.denominator) if ratio is not None and ratio.denominator and ratio else None
