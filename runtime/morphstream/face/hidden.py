"""Faces that others went before: where they come out, and who may be partly covered; pure."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from morphstream.face.geometry import Rectangle
from morphstream.face.track import Track
from morphstream.face.types import Face, Identity

_HIDDEN_S = 3.0
_AROUND = 1.5  # sides of a face's box, around where one is expected to come out
_BESIDE, _FAR = 1.3, 3.0  # sides, to a face whose head may cover a part of another; to where that is expected
Box = npt.NDArray[np.float64]


def apart(face: Face, other: Face) -> float:
    """Return the distance of two faces, in sides of the larger one's box."""
    distance = float(np.hypot(*(face.points5.mean(0) - other.points5.mean(0))))
    return distance / max(face.side, other.side, 1e-9)


def missing_near(face: Face, asleep: Sequence[Track], time_s: float) -> list[Face]:
    """Return the faces that went lately and may come out about where a face is; the nearest first."""
    recent = [track.face for track in asleep if time_s - track.seen_s < _HIDDEN_S]
    return sorted((old for old in recent if apart(face, old) < _FAR), key=lambda old: apart(face, old))


def is_clear(face: Face, others: Sequence[Face]) -> bool:
    """Return whether no other face is so near that its head may be before a part of a face."""
    return all(other is face or apart(face, other) > _BESIDE for other in others)


def exits(
    tracks: Sequence[Track], asleep: Sequence[Track], time_s: float, size_wh: tuple[int, int]
) -> Rectangle | None:
    """Return the rectangle of the frame where faces that went behind others may come out; None for nowhere."""
    others, size = [_around(track.face) for track in tracks], np.array(size_wh)
    gone = [_around(track.face) for track in asleep if time_s - track.seen_s < _HIDDEN_S]
    inside = [box for box in gone if (box[:2] + box[2:] > 0).all() and (box[:2] + box[2:] < 2 * size).all()]
    places = np.array([box for box in inside if any(_meet(box, other) for other in others)])
    if not places.size:
        return None
    left, top = np.clip(places[:, :2].min(0), 0, size - 1).astype(int).tolist()
    right, bottom = np.clip(np.ceil(places[:, 2:].max(0)), 1, size).astype(int).tolist()
    return left, top, right, bottom


def most_like(identity: Identity, asleep: Sequence[Track], least: float) -> Track | None:
    """Return the track whose person an identity is most like, with that cosine at least; None if there is none."""
    cosines = {track: track.identity.similarity(identity) for track in asleep if track.identity}
    best = max(cosines, key=cosines.__getitem__, default=None)
    return best if best and cosines[best] >= least else None


def _around(face: Face) -> Box:
    half = _AROUND * face.side
    return np.concatenate([face.middle - half, face.middle + half])


def _meet(one: Box, other: Box) -> bool:
    return bool((one[:2] < other[2:]).all() and (other[:2] < one[2:]).all())
