"""What is changed of aiortc: its bitrates, and when its receivers give a frame."""

from aiortc import rtcrtpreceiver
from aiortc.codecs import h264, vpx
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

_BITRATES = {"MIN_BITRATE": 1_500_000, "DEFAULT_BITRATE": 5_000_000, "MAX_BITRATE": 8_000_000}  # bit/s of a stream


def tune_aiortc() -> None:
    """Have aiortc send faces that are sharp, and give each frame when it has come.

    Bitrates are constants of its modules, 0.5 Mbit/s and 1.5 at most: a face then comes back with 29 dB. And its
    receivers hold a frame back until the next one begins.
    """
    for codec in (vpx, h264):
        for name, bitrate in _BITRATES.items():
            setattr(codec, name, bitrate)
    setattr(rtcrtpreceiver, "JitterBuffer", _PromptBuffer)  # noqa: B010  # which mypy takes for a change of a class


class _PromptBuffer(JitterBuffer):
    """Gives a frame of video when its last packet is there, as the marker says.

    Source: RFC 7741, section 4.1, and RFC 6184, section 5.1.
    """

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        frame = super()._remove_frame(sequence_number)
        if frame is None and self._is_video:
            frame = self._remove_marked()
        return frame if frame and frame.data else None  # of padding, which would end a decoder

    def _remove_marked(self) -> JitterFrame | None:
        """Return the first frame if it is whole; what is there without a gap is of that frame alone."""
        packets = list[RtpPacket]()
        for place in range(self._origin or 0, (self._origin or 0) + self.capacity):
            if (packet := self._packets[place % self.capacity]) is None:
                break
            packets.append(packet)
            if packet.marker:
                self.remove(len(packets))
                data = b"".join(packet._data for packet in packets)  # type: ignore[attr-defined]
                return JitterFrame(data=data, timestamp=packets[0].timestamp)
        return None
