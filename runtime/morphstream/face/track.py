"""Tracks: one face over time, its points smoothed, and how doubtful it is; pure.

Lengths are in distances of the eyes, so that they mean the same for near and far faces.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.face.flow import EYES, FEW, Motion, Patch, affine_of
from morphstream.face.geometry import transform
from morphstream.face.scene import Glimpse
from morphstream.face.types import Affine, Face, Identity, Points

_STILL, _BUSY = 16, 0.3  # frames between looks at a face that doesn't move, and how much sooner for what does
_COVERED = 0.25  # doubt of a face that flow doesn't follow at all, a frame
_CUTOFF, _RISE, _CUTOFF_OF_SPEED = 0.13, 4.0, 1.0  # Hz, Hz for an eye distance a second, Hz
_NEAR, _LARGER = 0.5, 2.0  # of a face's side, between the middles of what is one face; times its side
CLEAR = 0.7  # share of the places that flow follows of a face that isn't covered
_ASTRAY = 0.35  # RMS of points, from where flow expects them; a detector errs less, also of a covered face
ONE = 0.4  # cosine of two embeddings of one person. Source: FaceFusion
_FEW, _LIKENESSES = 3, 8  # embeddings that hardly make an identity, and that it is the mean of, about


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """How the faces of a video or a stream are tracked.

    Attributes:
        detect_every: The detector looks at every n-th frame, 1 or more, and wherever a track is in doubt; None for as
            often as motion, size and confidence ask for.
        smooth: How much points are smoothed, 0..1; 0 for not at all.
        look_every_s: Most seconds from one look around the whole frame to the next, for faces that come; None for as
            often as what is new asks for.
        is_on: Whether faces are tracked at all; else each frame is found and assigned alone, as a picture is.

    Raises:
        ValueError: A value is none of these.
    """

    detect_every: int | None = None
    smooth: float = 0.5
    look_every_s: float | None = None
    is_on: bool = True

    def __post_init__(self) -> None:
        if self.detect_every is not None and self.detect_every < 1:
            raise ValueError(f"tracking: expected to detect at every frame or fewer, seen {self.detect_every}")
        if not 0 <= self.smooth <= 1:
            raise ValueError(f"tracking: expected to smooth by 0..1, seen {self.smooth}")
        if self.look_every_s is not None and not self.look_every_s > 0:
            raise ValueError(f"tracking: expected more than 0 seconds from look to look, seen {self.look_every_s}")

    def is_due(self, seconds: float) -> bool:
        """Return whether a look around the whole frame is due, so long after the last; at once if time went back."""
        return self.look_every_s is not None and not 0 <= seconds < self.look_every_s


DEFAULT_TRACKING = Tracking()
LIVE_TRACKING = Tracking(look_every_s=0.15)  # a face is found within 0.2 s of being visible, at 20 frames a second, too


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """One face over time.

    Attributes:
        number: Of the track, never used again.
        face: As it is now, or was when it was seen last.
        patch: Of the frame that the detector looked at last.
        affine: Maps the present frame to the patch.
        velocity: ``(2,)``, pixels a frame.
        share: Of the patch's places that moved together, 0..1; 0 where flow lost the face.
        doubt: 1 or more where a look is due.
        looks: How often the detector saw it.
        drift: ``(5, 2)``, of the points that the detector sees from those that flow expects, eye distances a second.
        seen_s: When the detector saw it last.
        identity: Who it is, the mean of what the embedder saw; None where nobody asked.
        likenesses: How many embeddings that is the mean of.
    """

    number: int
    face: Face
    patch: Patch
    affine: Affine
    velocity: npt.NDArray[np.float64]
    share: float
    doubt: float
    looks: int
    drift: Points
    seen_s: float
    identity: Identity | None = None
    likenesses: int = 0

    @property
    def expected(self) -> Affine:
        """What maps the next frame to the patch, if the face goes on as it moves."""
        shifted = self.affine.copy()
        shifted[:, 2] -= shifted[:, :2] @ self.velocity
        return shifted


@dataclass(slots=True)
class State:
    """What the next frame depends on.

    Attributes:
        tracks: Of the faces that are there.
        asleep: Of those that were there in this scene, the last one last.
        held: The track of each rule by place or size.
        number: Of the next track.
        size: Height and width of the frame before.
        last: That frame in a few pixels.
        looked: The frame that was looked at as a whole.
        looked_s: Its time.
        doubt: 1 or more where such a look is due.
        looks: How many there were in this scene.
    """

    tracks: list[Track] = field(default_factory=list)
    asleep: list[Track] = field(default_factory=list)
    held: dict[object, int] = field(default_factory=dict)
    number: int = 1
    size: list[int] = field(default_factory=list)
    last: Glimpse | None = None
    looked: Glimpse | None = None
    looked_s: float = 0.0
    doubt: float = 1.0
    looks: int = 0


def begun(number: int, face: Face, patch: Patch, time_s: float) -> Track:
    """Return a track of a face that is seen for the first time, and is to be looked at nearer."""
    return Track(
        number=number,
        face=face,
        patch=patch,
        affine=affine_of(face.points5),
        velocity=np.zeros(2),
        share=1.0,
        doubt=1.0,
        looks=0,
        drift=np.zeros((5, 2)),
        seen_s=time_s,
    )


def eyes_of(affine: Affine) -> float:
    """Return the distance of the eyes, pixels, of a face by the affine of its patch, as if seen from the front."""
    return EYES / math.hypot(*affine[:, 0])


def carried(face: Face, old: Affine, new: Affine) -> Face:
    """Return a face of one frame in another, by what maps each of them to the face's patch."""
    onward = np.vstack([old, [0, 0, 1]])
    onward = np.asarray(cv2.invertAffineTransform(new), np.float64) @ onward
    middle = transform((face.box_xyxy[:2] + face.box_xyxy[2:]) / 2, onward)
    half = (face.box_xyxy[2:] - face.box_xyxy[:2]) / 2 * math.hypot(*onward[:, 0])
    return replace(
        face,
        box_xyxy=np.concatenate([middle - half, middle + half]),
        points5=transform(face.points5, onward),
        points68=None if face.points68 is None else transform(face.points68, onward),
    )


def moved_on(track: Track, motion: Motion | None, every: int | None) -> Track:
    """Return a track in the next frame, by what flow found there; the more that is, the sooner a look is due.

    Args:
        track: In the frame before.
        motion: None where flow lost the face: it stays where it was, and is looked at now.
        every: Frames from look to look; None for what the motion asks for.
    """
    if motion is None:
        return replace(track, share=0.0, doubt=1.0)
    face = carried(track.face, track.affine, motion.affine)
    moves = face.points5 - track.face.points5
    busy = _BUSY * float(np.abs(moves).max()) / eyes_of(motion.affine) + _COVERED * (1 - motion.share)
    doubt = track.doubt + (1 / every if every else 1 / _STILL + busy)
    velocity = moves.mean(0) if motion.share > FEW else track.velocity
    return replace(track, face=face, affine=motion.affine, velocity=velocity, share=motion.share, doubt=doubt)


def coasting(track: Track) -> Track:
    """Return a track that nobody sees in the next frame, if its face goes on as it moved."""
    return replace(track, face=carried(track.face, track.affine, track.expected), affine=track.expected)


def checked(track: Track, seen: Face) -> Track:
    """Return a track as flow has it; without its flow if the detector sees the face far from there.

    Flow then went over to what covers the face, or to what is behind it, and has lost the face.
    """
    apart = float(np.sqrt(((seen.points5 - track.face.points5) ** 2).sum(1).mean()))
    return replace(track, share=0.0) if track.looks and apart > _ASTRAY * eyes_of(track.affine) else track


def settled(track: Track, seen: Face, time_s: float, smooth: float) -> Track:
    """Return a track whose face the detector saw: its points are drawn towards those seen, by a One-Euro filter.

    What is filtered is the difference from where flow expects the points, so that they never lag behind a face that
    moves. The first looks are averaged, and a face that is partly covered, where a detector errs, counts less.

    Source: Casiez et al., "1 Euro Filter".
    """
    step_s, difference = max(time_s - track.seen_s, 1e-3), seen.points5 - track.face.points5
    drift = difference / eyes_of(track.affine) / step_s
    drift = track.drift + _gain(_CUTOFF_OF_SPEED, step_s) * (drift - track.drift)
    gain = 1.0
    if smooth and track.share and track.looks:
        cutoff = _CUTOFF * (1 - smooth) / smooth + _RISE * float(np.sqrt((drift**2).sum(1).mean()))
        gain = max(_gain(cutoff, step_s), 1 / (track.looks + 1)) * track.share**2
    points5 = track.face.points5 + gain * difference
    face = replace(seen, points5=points5)
    if seen.points68 is not None and track.face.points68 is not None:
        face = replace(face, points68=track.face.points68 + gain * (seen.points68 - track.face.points68))
    return replace(track, face=face, drift=drift, looks=track.looks + 1, seen_s=time_s, doubt=0.0, share=1.0)


def recognised(track: Track, identity: Identity) -> Track:
    """Return a track whose face was embedded once more; one that is unlike a mean of few embeddings replaces it."""
    count = min(track.likenesses, _LIKENESSES - 1)
    if track.identity is None or (count < _FEW and track.identity.similarity(identity) < ONE):
        return replace(track, identity=identity, likenesses=1)
    mean = Identity.mean_of([identity, track.identity], [1, count])
    return replace(track, identity=mean, likenesses=track.likenesses + 1)


def match(tracks: Sequence[Face], faces: Sequence[Face]) -> dict[int, int]:
    """Return which face is which track's, both by index: the nearest first, of about its size."""
    pairs = []
    for here, old in enumerate(tracks):
        for there, new in enumerate(faces):
            sides = sorted([old.area**0.5, new.area**0.5])
            apart = float(np.hypot(*(old.points5.mean(0) - new.points5.mean(0)))) / max(sides[1], 1e-9)
            if apart < _NEAR and sides[1] < _LARGER * sides[0]:
                pairs.append((apart, here, there))
    matched = dict[int, int]()
    for _, here, there in sorted(pairs):
        if here not in matched and there not in matched.values():
            matched[here] = there
    return matched


def _gain(cutoff_hz: float, step_s: float) -> float:
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * step_s)) if cutoff_hz else 0.0
