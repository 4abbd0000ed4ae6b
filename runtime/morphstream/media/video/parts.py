"""Keep the finished parts of a video beside its file until all are there, so that a run that was killed can go on.

Conventions: what will be NAME has its parts in the folder ``.NAME.parts``, locked for as long as a process works on
it. Its ``job.json`` says what decides the frames. Part 7 is ``7.packets``, what the encoder made of it, and ``7.json``,
which comes last and says that the part is finished. Times are whole numbers of the video's time base.
"""

import fcntl
import json
import os
import shutil
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from morphstream.artifact.digest import digest_of, digest_of_file
from morphstream.artifact.errors import VideoError
from morphstream.artifact.staged import staged_file
from morphstream.closing import Closing
from morphstream.media.video.packets import PacketFile

_JOB = "job.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of a video's frames, from the first one on.

    Attributes:
        frames: How many there were.
        faces: Most in one of them.
        swapped: How many had a face that was swapped.
        tracks: Numbers of the tracks that were swapped.
        lost: Pictures that were damaged or missing.
    """

    frames: int = 0
    faces: int = 0
    swapped: int = 0
    tracks: frozenset[int] = frozenset()
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A part that is finished, and how to go on behind it.

    Attributes:
        tally: From the video's first frame to the part's last one.
        last_pts: Time of that frame.
        state: Of the tracker, as it saves itself.
    """

    tally: Tally
    last_pts: int
    state: bytes

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps({**asdict(self), "state": b64encode(self.state).decode()}, default=sorted)

    @classmethod
    def from_json(cls, text: str) -> "Finished":
        """Read what `to_json` wrote."""
        data = json.loads(text)
        tally, state = data.pop("tally"), b64decode(data.pop("state"))
        return cls(tally=Tally(**{**tally, "tracks": frozenset(tally["tracks"])}), state=state, **data)


class Parts(Closing):
    """The parts of a video that is being made.

    Attributes:
        folder: Where they are; nobody else uses it meanwhile.
        finished: Those that are finished, in their order.
    """

    def __init__(self, output: Path, job: Mapping[str, str], *, resume: bool) -> None:
        """Begin a video's parts, or go on with those that are there.

        Args:
            output: Where the video will be.
            job: What decides its frames, in words.
            resume: Whether finished parts are kept.

        Raises:
            VideoError: Another process makes the video, it was begun with another job, or the folder is no such one.
            OSError: The folder can't be made.
        """
        self.folder, self.finished = output.with_name(f".{output.name}.parts"), list[Finished]()
        self._lock = self._locked(output)
        try:
            self._begin(output, dict(job), resume=resume)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let others use the folder; one without a finished part is removed, but for what a stopped run left."""
        if not self.finished and not self.partial.exists():
            self.remove()
        os.close(self._lock)

    @property
    def partial(self) -> Path:
        """A file that is there once a stopped run has written a video of what it had."""
        return self.folder / "partial"

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self) -> PacketFile:
        """Return the file of the part after the finished ones; an unfinished one there is replaced."""
        return PacketFile(self._packets_of(len(self.finished)))

    def finish(self, tally: Tally, last_pts: int, state: bytes) -> None:
        """Note that the part that was begun last, and whose file is closed, is finished."""
        part = Finished(tally=tally, last_pts=last_pts, state=state)
        text, number = part.to_json(), len(self.finished)
        with staged_file(self._record_of(number)) as record:
            record.write(json.dumps({"part": text, "sha256": self._seal(number, text)}).encode())
        self.finished.append(part)

    def packet_files(self) -> list[Path]:
        """Return the files of the finished parts, and of the one after them if it was begun."""
        files = [self._packets_of(number) for number in range(len(self.finished) + 1)]
        return files if files[-1].exists() else files[:-1]

    def _packets_of(self, number: int) -> Path:
        return self.folder / f"{number}.packets"

    def _record_of(self, number: int) -> Path:
        return self.folder / f"{number}.json"

    def _seal(self, number: int, text: str) -> str:
        """Return a digest of what is known of a part and of its packets."""
        return digest_of(f"{text} {digest_of_file(self._packets_of(number))}".encode()).sha256

    def _locked(self, output: Path) -> int:
        """Make the folder if it isn't there, and return a descriptor of it that holds its lock."""
        while True:
            self.folder.mkdir(exist_ok=True)
            lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise VideoError(
                    f"{output}: expected nobody who writes it, seen another process; wait for it"
                ) from None
            except OSError:  # a volume without locks
                return lock
            with suppress(FileNotFoundError):
                if os.path.samestat(self.folder.stat(), os.fstat(lock)):
                    return lock
            os.close(lock)  # another process ended, and removed it

    def _begin(self, output: Path, job: dict[str, str], *, resume: bool) -> None:
        path = self.folder / _JOB
        if not path.exists() and any(self.folder.iterdir()):
            seen = f"seen {self.folder} with other content; remove that, or name another video"
            raise VideoError(f"{output}: expected room for its parts, {seen}")
        if resume and path.exists():
            self._check_same(output, job, path.read_text("utf-8"))
            self.finished = list(self._read())
            return
        for entry in os.scandir(self.folder):
            Path(entry).unlink()
        with staged_file(path) as file:
            file.write(json.dumps(job).encode())

    def _check_same(self, output: Path, job: Mapping[str, str], text: str) -> None:
        try:
            before = json.loads(text)
        except ValueError:
            before = None
        before = before if isinstance(before, dict) else {}
        for name in [*job, *before]:
            if (was := before.get(name)) != (now := job.get(name)):
                seen = f"expected to resume with {name} {was}, seen {now}"
                raise VideoError(f"{output}: {seen}; say what was said before, or begin anew without --resume")

    def _read(self) -> Iterator[Finished]:
        """Yield the finished parts up to the first that is missing, or not as it was written."""
        with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
            for number in count():
                record = json.loads(self._record_of(number).read_text("utf-8"))
                if record["sha256"] != self._seal(number, record["part"]):
                    return
                yield Finished.from_json(record["part"])
