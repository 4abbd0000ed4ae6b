"""Read a video frame by frame, upright, each with its time."""

from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NoReturn

import av

from morphstream.artifact.errors import VideoError
from morphstream.closing import Closing
from morphstream.frame import Timed
from morphstream.media.video.colour import converted, matrix_of, range_of
from morphstream.media.video.decode import Pictures
from morphstream.media.video.info import describe
from morphstream.media.video.open import MAX_PIXELS, is_cut, open_video
from morphstream.media.video.picture import VideoFrame, video_frame


class VideoSource(Closing):
    """A video read from its file, as a `morphstream.stream.run.FrameSource` of `VideoFrame`; a context manager.

    All pictures have the size, the pixel format and the colours of the first: where a stream changes them in between,
    they are converted.

    Attributes:
        info: What it is.
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
            start: Frames that are shown before it are left out, in seconds from the video's beginning.
            end: Frames from it on are left out, in seconds from the video's beginning.
            max_pixels: Most of one picture.
            fps: How many numbered pictures are shown a second.

        Raises:
            VideoError: It is no video, has no moving pictures or larger ones, none of them can be decoded, or none is
                shown from `start` to `end`.
        """
        self._index = self._resized = 0
        open_anew = partial(open_video, path, max_pixels=max_pixels, fps=fps)
        self._container, stream = open_anew()
        try:
            is_short = fps is None and is_cut(path)
            self._pictures = Pictures(self._container, stream, open_anew, is_cut=is_short)
            if (first := next(self._pictures, None)) is None:
                _refuse(path, "pictures that can be decoded", "none; look at it by ffprobe, or fetch it again")
            self.info = info = describe(path, self._container, stream, first, is_cut=is_short)
            self._tags = matrix_of(first), range_of(first)
            self._end = None if end is None else info.start + end
            self._ahead = self._pictures.skip_to(info.start + start) if start else first
            if self._ahead is None or self._is_over(self._ahead):
                wanted = f"pictures from {float(start or 0):.3f} s on" + (f" before {float(end):.3f} s" if end else "")
                _refuse(path, wanted, f"none, of {info.duration_s or 0:.3f} s; choose other times")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    @property
    def lost(self) -> int:
        """How many pictures were damaged or missing so far; some that are missing are known at the end alone."""
        return self._pictures.lost

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the video was not read as one may expect so far, in words."""
        resized, retimed = self._resized, self._pictures.retimed
        width, height = self.info.coded_size_wh
        return (
            *self.info.notes,
            *([f"pictures of another size, fitted to {width} x {height}: {resized}"] if resized else []),
            *([f"pictures without a time after the one before, given one: {retimed}"] if retimed else []),
        )

    def read(self) -> Timed[VideoFrame] | None:
        """Return the next frame, None at the end.

        Raises:
            VideoError: A picture's colours are of a kind that isn't known.
        """
        picture, self._ahead = self._ahead or next(self._pictures, None), None
        if picture is None or self._is_over(picture):
            return None
        time, picture = self._time_of(picture), self._fitted(picture)
        frame = video_frame(picture, index=self._index, time=time, turn=self.info.turn)
        self._index += 1
        return Timed(value=frame, index=frame.index, time=time)

    def _time_of(self, picture: av.VideoFrame) -> Fraction:
        return (picture.pts or 0) * self._pictures.time_base

    def _is_over(self, picture: av.VideoFrame) -> bool:
        return self._end is not None and self._time_of(picture) >= self._end

    def _fitted(self, picture: av.VideoFrame) -> av.VideoFrame:
        info = self.info
        self._resized += (picture.width, picture.height) != info.coded_size_wh
        tags = self._tags if (matrix_of(picture), range_of(picture)) != self._tags else None
        return converted(picture, info.pixel_format, size_wh=info.coded_size_wh, tags=tags)


def _refuse(path: Path, expected: str, seen: str) -> NoReturn:
    raise VideoError(f"{path}: expected {expected}, seen {seen}")
