"""Decode a stream into pictures in the order of their times; damage is passed over and counted."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from morphstream.artifact.errors import VideoError

_MOST_BACK_S = 1  # a time further back than this begins a new count
_SEEK_S = 1  # how far before a time is sought first, as containers find pictures by when they are decoded


class Pictures:
    """The pictures of a stream, an iterator; each has a time, and the times increase.

    Attributes:
        rate: How many there are a second, on average.
        time_base: The unit of their pts, in seconds.
        lost: How many were damaged or missing so far; some that are missing are known at the end alone.
        retimed: How many had no time, or one that isn't after the one before, and were given one.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        open_anew: Callable[[], tuple[InputContainer, VideoStream]],
        *,
        is_cut: bool,
    ) -> None:
        """Begin before the first picture of a stream.

        Args:
            container: Its file.
            stream: Not yet decoded.
            open_anew: Opens both once more.
            is_cut: Whether the file lacks its end.
        """
        self.rate, self.time_base = rate_of(stream), time_base_of(stream)
        self._container, self._stream, self._open_anew, self._is_cut = container, stream, open_anew, is_cut
        self._begin: int | None = None  # the first picture's pts
        self._has_times = self._is_whole = True
        self._restart()

    def __iter__(self) -> Iterator[av.VideoFrame]:
        return self

    def __next__(self) -> av.VideoFrame:
        picture = next(self._decoded)
        self._give_time(picture)
        self._begin = self._last if self._begin is None else self._begin
        return picture

    def skip_to(self, time: Fraction) -> av.VideoFrame | None:
        """Return the first picture that is shown at a time or after it, None if there is none.

        Args:
            time: In seconds, after that of the first picture, which was read.
        """
        target, back_s = -int(-time // self.time_base), _SEEK_S
        begin, self._is_whole = self._begin or 0, False
        while self._has_times and (pts := target - int(back_s / self.time_base)) > begin:
            with suppress(av.error.FFmpegError):
                self._container.seek(pts, stream=self._stream)
                self._restart()
                picture, is_right = self._first_from(target)
                if is_right:
                    return picture
            back_s *= 4
        if self._has_times:  # else it is read on; one picture was
            with suppress(av.error.FFmpegError):
                self._container.seek(min(0, int(begin * self.time_base * av.time_base)))  # there all find the beginning
                self._restart()
        return self._first_from(target)[0]

    def _first_from(self, target: int) -> tuple[av.VideoFrame | None, bool]:
        """Return the first picture from a pts on, and whether a key frame was there before, as one must."""
        is_right = False
        for picture in self:
            pts = picture.pts or 0
            is_right = is_right or (picture.key_frame and pts <= target)
            if pts >= target:
                self.lost, self.retimed = int(picture.is_corrupt), 0
                return picture, is_right
        return None, False

    def _restart(self) -> None:
        self.lost = self.retimed = self._errors = 0
        self._last: int | None = None  # the last picture's pts
        self._shift = 0  # of all pts that follow
        self._decoded = self._decode()

    def _decode(self) -> Iterator[av.VideoFrame]:
        count = given = discarded = errors = 0
        partial = int(self._container.format.name == "image2")  # each packet of numbered pictures is a whole one
        last: int | None = None  # the last picture's pts, as coded
        for packet in _packets_of(self._container, self._stream):
            if packet:
                given, discarded, partial = given + 1, discarded + packet.is_discard, partial + packet.is_corrupt
            for picture in self._pictures_of(packet, self._stream):
                count, last, errors = count + 1, picture.pts, self._errors
                yield self._counted(picture)
        if given - discarded > count and self._has_times and not self._shift:
            self.lost -= self._errors - errors  # which are met again
            self._errors = errors
            for picture in self._kept_back(last):
                count += 1
                yield self._counted(picture)
        missing = max(given - count - discarded if partial else 0, self._undelivered(count + discarded))
        self.lost += max(0, missing - self._errors)

    def _kept_back(self, last: int | None) -> Iterator[av.VideoFrame]:
        """Yield the pictures after the last one, decoded anew in one thread; all if there was none.

        Where several threads decode, each has a picture in hand when the stream ends. After one that is damaged PyAV
        returns none of them: findings/pyav_end_after_damage.sh.
        """
        with suppress(av.error.FFmpegError, VideoError), ExitStack() as stack:
            container, stream = self._open_anew()
            stack.callback(container.close)
            stream.thread_type, is_right = "NONE", last is None
            if last is not None:
                container.seek(last, stream=stream)
            for packet in _packets_of(container, stream):
                is_old = last is not None and packet is not None and (packet.pts or 0) <= last
                for picture in self._pictures_of(packet, stream, is_counted=not is_old):
                    is_before = last is not None and (picture.pts or 0) <= last
                    is_right = is_right or (is_before and picture.key_frame)
                    if is_right and not is_before:
                        yield picture

    def _pictures_of(
        self, packet: "av.Packet[VideoStream] | None", stream: VideoStream, *, is_counted: bool = True
    ) -> list[av.VideoFrame]:
        """Decode a packet, None for the end; return no pictures of a damaged one."""
        try:
            return stream.decode(packet)
        except av.error.FFmpegError:
            self._errors += is_counted
            self.lost += is_counted
            return []

    def _counted(self, picture: av.VideoFrame) -> av.VideoFrame:
        self.lost += picture.is_corrupt
        return picture

    def _undelivered(self, count: int) -> int:
        """Return how many pictures a stream says it has beyond those that came, as far as it says so."""
        if self._is_whole and 0 < self._stream.frames <= self._container.size:  # a picture takes a byte at least
            return self._stream.frames - count
        if not self._is_cut or self._last is None or not self._container.duration:
            return 0
        end = Fraction((self._container.start_time or 0) + self._container.duration, av.time_base)
        return round((end - self._last * self.time_base) * self.rate) - 1

    def _give_time(self, picture: av.VideoFrame) -> None:
        """See to it that a picture has a time which is after the one before."""
        step = max(1, round(1 / self.rate / self.time_base))
        last, pts = self._last, picture.pts
        if pts is None:
            self._has_times = False
            pts = 0 if last is None else last + step
        else:
            pts += self._shift
            if last is not None and pts <= last:
                is_new_count = (last - pts) * self.time_base > _MOST_BACK_S
                self._shift += last + step - pts if is_new_count else 0
                pts = last + (step if is_new_count else 1)
        self.retimed += picture.pts is None or pts != picture.pts
        picture.pts = self._last = pts


def _packets_of(container: InputContainer, stream: VideoStream) -> "Iterator[av.Packet[VideoStream] | None]":
    """Yield the packets of a stream, then None."""
    with suppress(av.error.FFmpegError):  # where a file is cut off; what is missing is counted in the end
        for packet in container.demux(stream):
            if packet.size:  # one without ends the stream; one without dts need not
                yield packet
    yield None


def rate_of(stream: VideoStream) -> Fraction:
    """Return how many pictures a stream has a second, on average; where nothing is said of it, 25."""
    average, guessed = fraction_of(stream.average_rate), fraction_of(stream.guessed_rate)
    return (guessed if stream.start_time is None else average) or average or guessed or Fraction(25)


def time_base_of(stream: Stream) -> Fraction:
    """Return the unit of a stream's times, in seconds."""
    return fraction_of(stream.time_base) or Fraction(1, 90_000)


def fraction_of(ratio: Fraction | None) -> Fraction | None:
    """Return a ratio as a Fraction, for which PyAV 19 has a type of its own; None for none and for 0."""
    if ratio is None or not ratio.numerator or not ratio.denominator:
        return None
    return Fraction(ratio.numerator, ratio.denominator)
