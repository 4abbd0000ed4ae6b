"""The values that face code passes around."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from morphstream.artifact.digest import digest_of
from morphstream.frame import Frame, check_frame

Crop = npt.NDArray[np.uint8]
Layer = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.float32]
Affine = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Face:
    """A detected face.

    Attributes:
        box_xyxy: ``(4,)`` float64, pixels.
        points5: ``(5, 2)`` float64, pixels: left eye, right eye, nose, left and right mouth corner, to the viewer.
        score: Of the detector, 0..1.
        points68: ``(68, 2)`` float64, pixels, in the order of iBUG 300-W; None without a landmarker.
    """

    box_xyxy: npt.NDArray[np.float64]
    points5: Points
    score: float
    points68: Points | None = None

    @property
    def area(self) -> float:
        """Area of the box, in pixels."""
        left, top, right, bottom = self.box_xyxy
        return float((right - left) * (bottom - top))

    @property
    def side(self) -> float:
        """Side of a square as large as the box, in pixels."""
        return math.sqrt(self.area)

    @property
    def middle(self) -> npt.NDArray[np.float64]:
        """The middle of the box, ``(2,)``, pixels."""
        return (self.box_xyxy[:2] + self.box_xyxy[2:]) / 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Person:
    """A detected person.

    Attributes:
        box_xyxy: ``(4,)`` float64, pixels, inside the frame.
        score: Of the detector, 0..1.
    """

    box_xyxy: npt.NDArray[np.float64]
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Identity:
    """Who someone is, to the embedder; compares and hashes by its numbers.

    Attributes:
        embedding: ``(512,)`` float32 of length 1; read-only, a copy of the given one.

    Raises:
        ValueError: It has another shape, or isn't finite.
    """

    embedding: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        own = np.array(self.embedding, np.float32)
        if own.shape != (512,) or not np.isfinite(own).all():
            raise ValueError(f"identity: expected 512 finite numbers, seen shape {own.shape}")
        own.setflags(write=False)
        object.__setattr__(self, "embedding", own)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.embedding.tobytes() == other.embedding.tobytes()

    def __hash__(self) -> int:
        return hash(self.embedding.tobytes())

    def __repr__(self) -> str:
        return f"Identity({digest_of(self.embedding.tobytes()).sha256[:12]})"

    def similarity(self, other: "Identity") -> float:
        """Return the cosine of two identities, -1..1; above 0.4 both are one person. Source: FaceFusion."""
        return float(self.embedding @ other.embedding)

    @staticmethod
    def mean_of(identities: "Sequence[Identity]", weights: Sequence[float] | None = None) -> "Identity":
        """Return the mean of the identities of one person's pictures, of length 1; of one picture that itself.

        Args:
            identities: One or more.
            weights: How much each counts; None for all the same.

        Raises:
            ValueError: There are none, or they cancel out.
        """
        if len(identities) == 1:
            return identities[0]
        weights = [1] * len(identities) if weights is None else weights
        total = np.sum([weight * one.embedding for weight, one in zip(weights, identities, strict=True)], axis=0)
        if not (length := np.linalg.norm(total)):
            raise ValueError(f"identity: expected identities of one person, seen {len(identities)} without a mean")
        return Identity(embedding=total / np.float32(length))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundFaces:
    """A frame, its faces and who they become: made by `FaceAnalyser.analyse`, the input of `FaceSwapper.swap`.

    Attributes:
        frame: ``(H, W, 3)`` uint8 BGR.
        faces: Of that frame.
        assignment: The new identity of faces, by index in `faces`; the other faces stay as they are.
        looks: How often the detector looked at the frame; 0 where the faces were given.
        reason: Why there is no face and what to do, where none was found: "seen ...; use ...".
        tracks: The number of each face's track, in a video or a stream; none where faces aren't tracked.

    Raises:
        ValueError: The assignment names a face that isn't there, or there are tracks, and not one for each face.
    """

    frame: Frame
    faces: Sequence[Face]
    assignment: Mapping[int, Identity]
    looks: int = 0
    reason: str = ""
    tracks: Sequence[int] = ()

    def __post_init__(self) -> None:
        check_frame(self.frame)
        if self.tracks and len(self.tracks) != len(self.faces):
            raise ValueError(f"tracks: expected one for each of {len(self.faces)} faces, seen {len(self.tracks)}")
        if odd := [index for index in self.assignment if index not in range(len(self.faces))]:
            raise ValueError(f"assignment: expected indices of {len(self.faces)} faces, seen {odd}")
