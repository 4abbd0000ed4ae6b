"""Keep what an encoder makes in files, and put the files together again.

Conventions: packets come in the order in which they are decoded; times are whole numbers of the video's time base.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappushpop
from os import SEEK_CUR
from pathlib import Path
from struct import Struct

from av.packet import Packet
from av.stream import Stream

from morphstream.closing import Closing

_HEADER = Struct("<qqI?")  # pts, duration, size, is_keyframe


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """What an encoder made of a picture.

    Attributes:
        data: Its bytes.
        pts: When it is shown.
        dts: When it is decoded.
        duration: How long it is shown; 0 if the encoder doesn't say.
        is_keyframe: Whether it is decoded without another.
    """

    data: bytes
    pts: int
    dts: int
    duration: int
    is_keyframe: bool


class PacketFile(Closing):
    """A file of packets that is being written.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._file = path, path.open("wb")

    def write(self, packets: "Iterable[Packet[Stream]]") -> None:
        """Write packets as an encoder returns them."""
        for packet in packets:
            self._file.write(_HEADER.pack(packet.pts, packet.duration or 0, packet.size, packet.is_keyframe))
            self._file.write(memoryview(packet))

    def close(self) -> None:
        """Close it."""
        self._file.close()


def read_packets(paths: Sequence[Path], step: int) -> Iterator[Coded]:
    """Yield the packets of all files as those of one video.

    Args:
        paths: Files of parts that follow each other in time.
        step: Usual time from one picture to the next, for the decoding times before the first picture's.
    """
    delay, waiting = max(map(_delay_of, paths), default=0), list[int]()
    for place, (pts, duration, is_keyframe, data) in enumerate(
        packet for path in paths for packet in _packets_in(path)
    ):
        if place == 0:
            waiting = [pts - step * before for before in range(delay, 0, -1)]  # a heap, as it is in order
        dts = heappushpop(waiting, pts)
        yield Coded(data=data, pts=pts, dts=dts, duration=duration, is_keyframe=is_keyframe)


def first_time(paths: Sequence[Path]) -> int:
    """Return the time of the first picture."""
    return next((pts for path in paths for pts, *_ in _packets_in(path)), 0)


def _packets_in(path: Path) -> Iterator[tuple[int, int, bool, bytes]]:
    with path.open("rb") as file:
        while header := file.read(_HEADER.size):
            pts, duration, size, is_keyframe = _HEADER.unpack(header)
            yield pts, duration, is_keyframe, file.read(size)


def _delay_of(path: Path) -> int:
    """Return by how many packets one comes later than its time says, at most."""
    times = []
    with path.open("rb") as file:
        while header := file.read(_HEADER.size):
            pts, _, size, _ = _HEADER.unpack(header)
            times.append(pts)
            file.seek(size, SEEK_CUR)
    places = {pts: place for place, pts in enumerate(sorted(times))}
    return max((place - places[pts] for place, pts in enumerate(times)), default=0)
