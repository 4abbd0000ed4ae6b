"""Record a live run into a file that appears under its name once it is complete."""

from pathlib import Path

from morphstream.artifact.errors import VideoError
from morphstream.artifact.regular_file import real_path
from morphstream.closing import Closing
from morphstream.media.credentials import FORMATS as SIGNED
from morphstream.media.credentials import Signing
from morphstream.media.live.items import LiveFrame, Sound
from morphstream.media.live.muxed import Destination, MuxedSink
from morphstream.media.output import keep_owner_and_mode
from morphstream.media.video.encoders import CONTAINERS
from morphstream.media.video.marks import mark_file, marked

_X264 = {"preset": "veryfast", "tune": "zerolatency", "crf": "20"}
_VP8 = {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "4M"}
_PLAYS_UNFINISHED = {"flush_packets": "1"}  # as MP4 does by fragments, until it is complete
FORMATS = (".mp4", ".m4v", ".mov", ".mkv", ".webm")


def unfinished(path: Path) -> Path:
    """Return what a recording is called before it is complete."""
    place = real_path(path)
    return place.with_name(f"{place.name}.recording")


def check_unfinished(path: Path) -> None:
    """Check that no run that was killed left a recording, which would be lost.

    Raises:
        VideoError: One did, or another run still records.
    """
    if (left := unfinished(path)).exists():
        seen = f"seen {left.name}, of one that was killed or goes on"
        raise VideoError(f"{path}: expected no unfinished recording, {seen}; rename or remove that, it can be played")


class Recording(Closing):
    """A file of a live run, marked as synthetic; called ``NAME.recording`` until it is complete, and where it fails."""

    def __init__(self, path: Path, *, has_sound: bool, signing: Signing | None = None) -> None:
        """Begin; nothing is written before the first frame.

        Args:
            path: Ends in one of `FORMATS`; what is there is replaced at the end.
            has_sound: Whether it gets a track for sound.
            signing: What it is signed with at its end, where its format has a place for that; None for nothing.

        Raises:
            VideoError: An unfinished recording is there.
            OSError: It can't be written.
        """
        check_unfinished(path)
        self._signing = signing
        self._path, self._part, suffix = path, unfinished(path), path.suffix.lower()
        is_webm, is_mp4 = suffix == ".webm", suffix in (".mp4", ".m4v", ".mov")
        self._part.touch(exist_ok=False)
        target = Destination(
            name=str(path),
            url=f"file:{self._part}",
            container=CONTAINERS[suffix],
            options=_PLAYS_UNFINISHED | ({"movflags": "hybrid_fragmented+frag_keyframe"} if is_mp4 else {}),
            encoder="libvpx" if is_webm else "libx264",
            encoder_options=_VP8 if is_webm else _X264,
            threads=int(is_webm),  # VP8's others spin, for 20 times the processor time
            sound_encoder="libopus" if is_webm else "aac",
            tags=marked({}),
        )
        self._sink, self._frames, self._is_whole = MuxedSink(target, has_sound=has_sound), 0, True

    def put(self, item: LiveFrame | Sound | None) -> bool:
        """Write a frame or sound; errors as of `MuxedSink.put`."""
        self._is_whole = False
        self._sink.put(item)
        self._is_whole, self._frames = True, self._frames + isinstance(item, LiveFrame)
        return True

    def close(self) -> None:
        """Write the end, and give the file its name; one without a frame is removed. Errors as of `MuxedSink.close`."""
        try:
            self._sink.close()
            if not self._is_whole or not self._frames:
                return
            mark_file(self._part)
            if self._signing and (suffix := self._path.suffix.lower()) in SIGNED:
                self._signing.sign_file(self._part, suffix)
            with self._part.open("rb") as file:
                keep_owner_and_mode(file.fileno(), real_path(self._path))
            self._part.replace(real_path(self._path))
        finally:
            if not self._frames:
                self._part.unlink(missing_ok=True)
