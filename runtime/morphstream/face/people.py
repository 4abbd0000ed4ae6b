"""The people of a video: tracks that show one person, put together by their identities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from morphstream.face.assign import ONE_PERSON
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame

_SAMPLES = 3  # of a track, the best ones; its identity is their mean
_SAMPLE_EVERY = 5  # frames of a track; those next to each other look alike
_ENDED_AFTER = 60  # frames without a face of a track
_MARGIN = 0.75  # of a face's box on each side, kept around it

Embed = Callable[[Frame, Sequence[Face]], Sequence[Identity]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portrait:
    """A face with what is around it, of one frame.

    Attributes:
        frame: ``(H, W, 3)`` uint8 BGR, a copy of that part of the frame.
        face: In pixels of that part.
    """

    frame: Frame
    face: Face

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the face's box, in whole pixels."""
        left, top, right, bottom = self.face.box_xyxy
        return round(right - left), round(bottom - top)

    @property
    def quality(self) -> float:
        """More for larger and surer faces."""
        return self.face.score * self.face.side


@dataclass(slots=True, kw_only=True)
class VideoPerson:
    """Someone who is seen in a video.

    Attributes:
        first: Time of the first frame they are seen in, seconds.
        last: Of the last one.
        indices: Of the frames they are seen in.
        tracks: How many tracks they have.
        portrait: The best one.
        identity: The mean of the portraits of all tracks.
        portraits: How many these were.
    """

    first: Fraction
    last: Fraction
    indices: set[int]
    tracks: int
    portrait: Portrait
    identity: Identity
    portraits: int

    @property
    def frames(self) -> int:
        """In how many frames they are seen."""
        return len(self.indices)

    def join(self, other: "VideoPerson") -> None:
        """Add what was seen of the same person elsewhere."""
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.indices |= other.indices
        self.tracks += other.tracks
        self.portrait = max(self.portrait, other.portrait, key=lambda portrait: portrait.quality)
        self.identity = Identity.mean_of([self.identity, other.identity], [self.portraits, other.portraits])
        self.portraits += other.portraits


@dataclass(slots=True, kw_only=True)
class _Track:
    first: Fraction
    last: Fraction
    last_index: int = 0
    indices: set[int] = field(default_factory=set)
    portraits: list[Portrait] = field(default_factory=list)


class PeopleFinder:
    """Keeps a few portraits of each track while a video is followed, and says who the tracks show."""

    def __init__(self, embed: Embed, *, threshold: float = ONE_PERSON) -> None:
        """Start with nobody.

        Args:
            embed: Returns the identities of faces of a frame, as `FaceAnalyser.embed`.
            threshold: Minimum cosine of two tracks of one person, -1..1.
        """
        self._embed, self._threshold = embed, threshold
        self._tracks: dict[int, _Track] = {}
        self._people: list[VideoPerson] = []
        self._index = 0

    def see(self, found: FoundFaces, time: Fraction) -> None:
        """Keep what is best of a frame; frames come in order, with the tracks of their faces."""
        self._index += 1
        for number, face in zip(found.tracks, found.faces, strict=True):
            track = self._tracks.setdefault(number, _Track(first=time, last=time))
            if len(track.indices) % _SAMPLE_EVERY == 0:
                track.portraits.append(_portrait_of(found.frame, face))
                track.portraits.sort(key=lambda portrait: -portrait.quality)
                del track.portraits[_SAMPLES:]
            track.indices.add(self._index)
            track.last, track.last_index = time, self._index
        for number in [n for n, track in self._tracks.items() if self._index - track.last_index > _ENDED_AFTER]:
            self._end(self._tracks.pop(number))

    def people(self) -> list[VideoPerson]:
        """End every track, and return the people, those first who are seen most."""
        while self._tracks:
            self._end(self._tracks.popitem()[1])
        while (pair := self._closest()) is not None:
            first, second = pair
            self._people[first].join(self._people.pop(second))
        return sorted(self._people, key=lambda person: (-person.frames, person.first))

    def _end(self, track: _Track) -> None:
        """Add a track to the person that it is most like, or to nobody who was there before."""
        identities = [self._embed(portrait.frame, [portrait.face])[0] for portrait in track.portraits]
        person = VideoPerson(
            first=track.first,
            last=track.last,
            indices=track.indices,
            tracks=1,
            portrait=track.portraits[0],
            identity=Identity.mean_of(identities),
            portraits=len(identities),
        )
        cosines = [person.identity.similarity(other.identity) for other in self._people]
        if cosines and max(cosines) >= self._threshold:
            self._people[int(np.argmax(cosines))].join(person)
        else:
            self._people.append(person)

    def _closest(self) -> tuple[int, int] | None:
        """Return the two people who are most alike, if they are one: the one who came first, and the other."""
        if len(self._people) < 2:
            return None
        embeddings = np.stack([person.identity.embedding for person in self._people])
        cosines = np.triu(embeddings @ embeddings.T, 1) - 2 * np.tri(len(embeddings))
        first, second = divmod(int(cosines.argmax()), len(embeddings))
        return (first, second) if cosines[first, second] >= self._threshold else None


def _portrait_of(frame: Frame, face: Face) -> Portrait:
    """Return a face with what is around it."""
    height, width = frame.shape[:2]
    left, top, right, bottom = face.box_xyxy
    across, down = _MARGIN * (right - left), _MARGIN * (bottom - top)
    x, y = max(int(left - across), 0), max(int(top - down), 0)
    part = frame[y : min(int(bottom + down) + 1, height), x : min(int(right + across) + 1, width)]
    own = Face(box_xyxy=face.box_xyxy - [x, y, x, y], points5=face.points5 - [x, y], score=face.score)
    return Portrait(frame=part.copy(), face=own)
