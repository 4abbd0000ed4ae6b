"""The values that face code passes around."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
        points5: ``(5, 2)`` float64, pixels: left eye, right eye, nose, left and right mouth corner, as seen.
        score: Certainty of the detector, 0..1.
        points68: ``(68, 2)`` float64, pixels, in the order of iBUG 300-W; None where no landmarker looked.
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Person:
    """A detected person.

    Attributes:
        box_xyxy: ``(4,)`` float64, pixels, inside the frame.
        score: Certainty of the detector, 0..1.
    """

    box_xyxy: npt.NDArray[np.float64]
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Identity:
    """Who someone is, to the embedder.

    Attributes:
        embedding: ``(512,)`` float32 of length 1.

    Raises:
        ValueError: It has another shape, or isn't finite.
    """

    embedding: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.embedding.shape != (512,) or not np.isfinite(self.embedding).all():
            raise ValueError(f"expected 512 finite numbers, seen shape {self.embedding.shape}")

    def similarity(self, other: "Identity") -> float:
        """Return the cosine of two identities; above 0.4 they are taken for one person. Source: FaceFusion."""
        return float(self.embedding @ other.embedding)
