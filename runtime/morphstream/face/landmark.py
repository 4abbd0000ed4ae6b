"""Find the 68 points of faces, and from them more exact five points."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.face.geometry import FFHQ_512, align, cut_crop, tilt_of, transform, turned
from morphstream.face.types import Affine, Crop, Face, Points
from morphstream.frame import Frame, check_frame
from morphstream.session.session import Session

_GRID = 64  # side of the heatmaps whose cells 2dfan4's points are counted in
_BOX = 195  # of 256 pixels of its crop, the box's longer side. Source: Bulat and Tzimiropoulos, face-alignment
_TILT = 45  # degrees, from which on points are missed
_DARK, _CLIP = 30, 2.0  # mean lightness of 255, and limit of the equalisation. Source: FaceFusion


class DirectFan685:
    """fan_68_5: 68 points estimated from five. Source: FaceFusion."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def locate(self, points5: Points) -> Points:
        """Return the 68 points of faces, ``(N, 68, 2)`` float64, pixels of the frame.

        Args:
            points5: ``(N, 5, 2)``, pixels of the frame.

        Raises:
            ValueError: Five points are one point.
            SessionError: The engine failed.
        """
        affines = [align(points, FFHQ_512, 1) for points in points5]
        if not affines:
            return np.empty((0, 68, 2))
        fractions = [transform(points, affine) for points, affine in zip(points5, affines, strict=True)]
        found = self._session.run({"input": np.array(fractions, np.float32)})["points68"]
        return _back(found, affines)

    def refine(self, faces: Sequence[Face]) -> list[Face]:
        """Return faces with their 68 points; the five stay, as the 68 come from them alone. Errors as in `locate`."""
        points = self.locate(np.array([face.points5 for face in faces]))
        return [replace(face, points68=found) for face, found in zip(faces, points, strict=True)]


class Landmark68Detector:
    """2dfan4: 68 points found in the pixels; those of fan_68_5 for faces with a low score.

    Source: Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem?"; FaceFusion.
    """

    def __init__(self, session: Session, fallback: DirectFan685, *, threshold: float = 0.5) -> None:
        """Wrap an opened landmarker, and the one that is used for faces whose score is not above the threshold."""
        self._session, self._fallback, self._threshold = session, fallback, threshold
        self._side = session.input_shapes["crop"][1]

    def locate(self, frame: Frame, faces: Sequence[Face]) -> tuple[Points, npt.NDArray[np.float64]]:
        """Return the 68 points of faces and their scores, by one run of the model.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            faces: Of that frame.

        Returns:
            ``(N, 68, 2)`` float64, pixels of the frame; and ``(N,)`` scores, about 0..1: the mean over the points.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``, or a face's points are all one point.
            SessionError: An engine failed.
        """
        check_frame(frame)
        if not faces:
            return np.empty((0, 68, 2)), np.empty(0)
        affines = [_affine_of(face, self._side) for face in faces]
        crops = np.stack([_lightened(cut_crop(frame, affine, self._side)) for affine in affines])
        found = self._session.run({"crop": crops})["points68"]
        points, scores = _back(found[..., :2] * (self._side / _GRID), affines), found[..., 2].mean(1, np.float64)
        if (is_unsure := ~(scores > self._threshold)).any():
            points[is_unsure] = self._fallback.locate(np.array([face.points5 for face in faces])[is_unsure])
        return points, scores

    def refine(self, frame: Frame, faces: Sequence[Face]) -> list[Face]:
        """Return faces with their 68 points, and with five points made of those where the score is above the threshold.

        Arguments and errors as in `locate`.
        """
        points, scores = self.locate(frame, faces)
        return [
            replace(face, points68=found, points5=points5_of(found) if score > self._threshold else face.points5)
            for face, found, score in zip(faces, points, scores, strict=True)
        ]


def points5_of(points68: Points) -> Points:
    """Return the five points of 68: the eyes' middles, the nose's tip, the mouth's corners.

    Source: iBUG 300-W's order of the points; FaceFusion.
    """
    return np.stack([points68[36:42].mean(0), points68[42:48].mean(0), points68[30], points68[48], points68[54]])


def _affine_of(face: Face, side: int) -> Affine:
    """Return the affine of a face's crop: its box, turned upright where the face is far from it."""
    low, high = face.box_xyxy[:2], face.box_xyxy[2:]
    scale = _BOX / 256 * side / max(float((high - low).max()), 1.0)
    turn = tilt_of(face.points5)
    return turned(turn if abs(turn) > _TILT else 0, scale, (low + high) / 2, (side / 2, side / 2))


def _lightened(crop: Crop) -> Crop:
    """Return a crop, a dark one with its lightness equalised."""
    lab = cv2.cvtColor(crop, cv2.COLOR_BGR2LAB)
    if lab[..., 0].mean() >= _DARK:
        return crop
    lab[..., 0] = cv2.createCLAHE(clipLimit=_CLIP).apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)  # type: ignore[return-value]


def _back(points: npt.NDArray[np.floating], affines: list[Affine]) -> Points:
    """Map points ``(N, K, 2)`` of crops back to the frame."""
    inverses = [np.asarray(cv2.invertAffineTransform(affine), np.float64) for affine in affines]
    return np.stack([transform(found, inverse) for found, inverse in zip(points, inverses, strict=True)])
