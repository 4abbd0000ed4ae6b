"""The photos of the demo and the report, out of packages, as ``(H, W, 3)`` uint8 BGR."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import skimage.data

from stages.kit import detector

Photo = npt.NDArray[np.uint8]


def astronaut() -> Photo:
    """Return the source: Eileen Collins, NASA, public domain, ``(512, 512, 3)``."""
    rgb: Photo = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(rgb[..., ::-1])


def solvay(downloads: Path) -> Photo:
    """Return the target, the Solvay conference of 1927, ``(2171, 3000, 3)``; `downloads` keeps its package."""
    return np.asarray(cv2.imdecode(np.frombuffer(detector.solvay(downloads), np.uint8), cv2.IMREAD_COLOR), np.uint8)
