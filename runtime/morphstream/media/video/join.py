"""Join the encoded pictures of a video with the other streams of its source, in a new file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from math import lcm
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from morphstream.artifact.errors import VideoError
from morphstream.media.video.encoders import CONTAINERS, Encoder, configure, fit_of
from morphstream.media.video.info import VideoInfo
from morphstream.media.video.packets import read_packets
from morphstream.media.video.scheduling import usual_scheduling
from morphstream.media.video.streams import OtherStreams

_MOST_TICKS = 2**31 - 1  # a second, in MP4


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """The encoded pictures of a video, and what of the video they are.

    Attributes:
        info: The video.
        encoder: What encoded them.
        parts: Files of packets, in their order.
        origin: The time that becomes 0 in a new file, in seconds of the video.
        begin: Sound and the like are copied from here on; None for their beginning.
        end: And up to here; None for their end.
    """

    info: VideoInfo
    encoder: Encoder
    parts: tuple[Path, ...]
    origin: Fraction = Fraction(0)
    begin: Fraction | None = None
    end: Fraction | None = None


def join(path: Path, suffix: str, film: Film, others: OtherStreams, tags: Mapping[str, str]) -> None:
    """Write a file of the pictures of a video and copies of its other streams; a reader needs its name's suffix alone.

    Args:
        path: What is there is replaced.
        suffix: Of the name that the file will have.
        film: The pictures.
        others: The other streams.
        tags: What the file says of itself.

    Raises:
        VideoError: The container refuses what it should hold.
        OSError: The file can't be written.
    """
    try:
        with av.open(
            str(path), "w", format=CONTAINERS[suffix], container_options=_options(suffix, film, others)
        ) as file:
            pictures = _add_pictures(file, film)
            streams = others.describe(file, pictures, film.origin)
            file.metadata.update(tags)
            with usual_scheduling():
                file.start_encoding()
            copied = others.packets(streams, film.origin, film.begin, film.end)
            for packet in merge(_packets(film, pictures), copied, key=_seconds):
                try:
                    file.mux_one(packet)
                except (av.error.InvalidDataError, av.error.ArgumentError):
                    others.lost += 1  # all times of pictures are right, so that it is one of the copies
        others.note_tags(path)
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise VideoError(f"{suffix}: expected it to hold the video, seen {error.strerror}; write a .mkv") from None


def _options(suffix: str, film: Film, others: OtherStreams) -> dict[str, str]:
    """Return what keeps times exact, and has MP4 and MOV begin with their index."""
    if suffix == ".mkv":
        return {"avoid_negative_ts": "disabled"}  # else all times change where sound begins before 0, as of MP4
    if CONTAINERS[suffix] not in ("mp4", "mov"):
        return {}
    own = film.info.time_base.denominator
    ticks = lcm(own, *others.ticks)
    return {"movflags": "faststart", "movie_timescale": str(ticks if ticks <= _MOST_TICKS else own)}


def _add_pictures(file: OutputContainer, film: Film) -> VideoStream:
    """Add a stream whose header is as the encoder of the parts writes it."""
    stream = cast("VideoStream", file.add_stream(film.encoder.name, rate=film.info.frame_rate))
    configure(stream.codec_context, film.encoder, film.info)
    stream.time_base = fit_of(film.encoder, film.info).time_base
    if film.encoder.tag and file.format.name != "matroska":
        stream.codec_context.codec_tag = film.encoder.tag
    if film.info.display_matrix:
        stream.set_display_matrix(film.info.display_matrix)
    return stream


def _packets(film: Film, stream: VideoStream) -> "Iterator[Packet[Stream]]":
    base = fit_of(film.encoder, film.info).time_base
    shift, step = round(film.origin / base), max(1, round(1 / film.info.frame_rate / base))
    for coded in read_packets(film.parts, step):
        packet = Packet(coded.data)
        packet.stream, packet.time_base = stream, base
        packet.pts, packet.dts, packet.duration = coded.pts - shift, coded.dts - shift, coded.duration or step
        packet.is_keyframe = coded.is_keyframe
        yield packet


def _seconds(packet: "Packet[Stream]") -> float:
    """Return when a packet is decoded; all that come from here have a time."""
    return (packet.dts or 0) * float(packet.time_base)
