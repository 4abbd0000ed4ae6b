"""Copy what a video's file has beside the pictures: sound, subtitles, attachments, chapters and tags."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from io import BytesIO
from pathlib import Path

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from morphstream.artifact.errors import VideoError
from morphstream.closing import Closing
from morphstream.media.video.decode import fraction_of, time_base_of
from morphstream.media.video.encoders import CONTAINERS
from morphstream.media.video.marks import marked
from morphstream.media.video.open import MAX_PIXELS, open_container, open_video

_STALE = ("encoder", "major_brand", "minor_version", "compatible_brands", "rotate")
_MOV_LANGUAGES = (  # which FFmpeg leaves out of QuickTime, where it knows them by other names
    "fre=fra deu=ger nld=dut swe=sve nob=nor nno=nor ell=gre isl=ice zho=chi fas=iri sqi=alb rum=ron cze=ces slo=slk "
    "mkd=mac hye=arm kat=geo msa=may mya=bur bod=tib cym=wel eus=baq"
)
_COUNTS = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS_")  # which Matroska's tools note of the source's pictures


class OtherStreams(Closing):
    """The streams that are copied from a video's file, packet by packet.

    Attributes:
        notes: What isn't copied, in words.
        lost: How many packets couldn't be copied so far, as they are damaged.
    """

    def __init__(self, source: Path, suffix: str, *, max_pixels: int = MAX_PIXELS, fps: Fraction | None = None) -> None:
        """Open a video, and choose the streams that a file can hold.

        Args:
            source: As of `open_video`.
            suffix: Of the file that they are copied to.
            max_pixels: As of `open_video`.
            fps: As of `open_video`.

        Raises:
            VideoError: It is no video, or it has sound that the file can't hold.
        """
        self.lost, self.notes, self._chosen = 0, list[str](), list[Stream]()
        self._open = partial(open_video, source, max_pixels=max_pixels, fps=fps)
        self._container, self._pictures = self._open()
        try:
            for stream in self._container.streams:
                if stream is not self._pictures:
                    self._choose(source, stream, suffix)
        except BaseException:
            self.close()
            raise

    def _choose(self, source: Path, stream: Stream, suffix: str) -> None:
        """Note that a stream is copied, or why it isn't."""
        name = str(getattr(stream, "name", None) or "unknown")
        what = f"its {stream.type} stream {stream.index} ({name}) is left out"
        if stream.type == "video":
            self.notes.append(f"{what}: other pictures may show who was there")
        elif stream.type == "data":
            if not (self._container.chapters() or "timecode" in self._pictures.metadata):  # of which new ones are made
                self.notes.append(what)
        elif self._fits(stream, suffix):
            self._chosen.append(stream)
        elif stream.type == "audio" and suffix != ".gif":
            raise VideoError(f"{source}: expected sound that a {suffix} can hold, seen {name}; write a .mkv")
        else:
            self.notes.append(f"{what}, which a {suffix} can't hold")

    def _fits(self, stream: Stream, suffix: str) -> bool:
        """Return whether a file can hold a copy of a stream: whether one can be written, of sound with a packet."""
        try:
            with av.open(BytesIO(), "w", format=CONTAINERS[suffix]) as trial:
                new = _added(trial, stream)
                trial.start_encoding()
                if stream.type == "audio" and (first := next(self._container.demux(stream))).size:
                    first.stream = new
                    trial.mux_one(first)
        except (av.FFmpegError, ValueError):
            return False
        return True

    def close(self) -> None:
        """Close the video's file."""
        self._container.close()

    @property
    def tags(self) -> dict[str, str]:
        """What the file says of itself, but for what is of that file alone."""
        return _lasting(self._container.metadata)

    def note_tags(self, written: Path) -> None:
        """Note the tags of the file that one of its copies lacks, but for those that are marks."""
        with open_container(written) as copy:
            there = {name.lower() for name in (*copy.metadata, *marked({}))}
        if lacking := sorted(name for name in self.tags if name.lower() not in there):
            self.notes.append(f"tags that a {written.suffix} can't hold are left out: {', '.join(lacking)}")

    @property
    def origin(self) -> Fraction:
        """The time of the file that is a beginning, in seconds: of a broadcast the first one, which may be hours."""
        if "mpeg" not in self._container.format.name:
            return Fraction(0)
        streams = [self._pictures, *self._chosen]
        return min((stream.start_time or 0) * time_base_of(stream) for stream in streams)

    @property
    def ticks(self) -> list[int]:
        """Ticks a second of the times of each copied stream."""
        return [time_base_of(stream).denominator for stream in self._chosen]

    def describe(self, output: OutputContainer, pictures: Stream, origin: Fraction) -> dict[int, Stream]:
        """Add the copied streams to a file, and say there what the source says of them, its pictures and its chapters.

        Args:
            output: Whose header isn't written yet.
            pictures: Its stream of pictures.
            origin: The time that becomes 0 there, in seconds.

        Returns:
            The new stream of each copied one, by its index.
        """
        tags = _tags_of(self._pictures, output)
        pictures.metadata.update({key: text for key, text in tags.items() if not key.startswith(_COUNTS)})
        pictures.disposition = self._pictures.disposition
        chapters = self._container.chapters()
        for chapter in chapters:
            ticks = round(origin / (fraction_of(chapter["time_base"]) or 1))
            chapter["start"], chapter["end"] = max(0, chapter["start"] - ticks), chapter["end"] - ticks
        output.set_chapters([chapter for chapter in chapters if chapter["end"] > chapter["start"]])
        return {stream.index: _added(output, stream) for stream in self._chosen}

    def packets(
        self, streams: Mapping[int, Stream], origin: Fraction, begin: Fraction | None, end: Fraction | None
    ) -> "Iterator[Packet[Stream]]":
        """Yield the packets of the copied streams, as those of the new ones.

        Args:
            streams: The new ones, by the index of the old.
            origin: The time that becomes 0, in seconds.
            begin: The first time of what is copied, in seconds; None for the beginning.
            end: All times of what is copied are before; None for the end.
        """
        copied = [stream.index for stream in self._chosen if stream.type != "attachment"]  # those are in the header
        if not copied:
            return
        last, ahead = dict[int, int](), dict[int, int]()
        for packet in self._read(copied, begin):
            base = time_base_of(packet.stream)
            index, ticks = packet.stream_index, round(origin / base)
            dts = next(time for time in (packet.dts, packet.pts, ahead.get(index, 0)) if time is not None)
            pts = dts if packet.pts is None else packet.pts
            ahead[index] = dts + (packet.duration or 0)
            if (begin is not None and pts * base < begin) or (end is not None and pts * base >= end):
                continue
            packet.dts = last[index] = max(dts - ticks, last.get(index, dts - ticks - 1) + 1)
            packet.pts = max(pts - ticks, packet.dts)
            packet.stream = streams[index]
            yield packet

    def _read(self, copied: list[int], begin: Fraction | None) -> "Iterator[Packet[Stream]]":
        container, _ = self._open()  # anew, as the other one has given its first packets
        with container:
            try:
                if begin is not None:
                    container.seek(max(0, int(begin * av.time_base)))
                streams = [container.streams[index] for index in copied]
                yield from (packet for packet in container.demux(streams) if packet.size)
            except av.FFmpegError:
                self.lost += 1


def _added(output: OutputContainer, stream: Stream) -> Stream:
    new = output.add_stream_from_template(stream, opaque=True)
    new.metadata.update(_tags_of(stream, output))
    new.disposition = stream.disposition
    return new


def _tags_of(stream: Stream, output: OutputContainer) -> dict[str, str]:
    """Return what a file says of a stream, in the words of another."""
    tags = _lasting(stream.metadata)
    if name := tags.pop("name", None):  # so FFmpeg reads the title from MP4
        tags.setdefault("title", name)
    if output.format.name == "mov" and (language := tags.get("language")):
        names = {pair[:3]: pair[4:] for pair in _MOV_LANGUAGES.split()}
        tags["language"] = names.get(language, language)
    return tags


def _lasting(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in tags.items() if key.lower() not in _STALE}
