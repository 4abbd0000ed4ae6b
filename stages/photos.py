"""The photos of the demo and the report, out of packages, as ``(H, W, 3)`` uint8 BGR."""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Photo = npt.NDArray[np.uint8]


def astronaut() -> Photo:
    """Return the source: Eileen Collins, NASA, public domain, ``(512, 512, 3)``."""
    package = find_spec("skimage")  # found, not imported, which takes four times as long as to read the photo
    path = Path(package.origin if package and package.origin else "skimage").with_name("data") / "astronaut.png"
    return _decoded(path.read_bytes())


def solvay(downloads: Path) -> Photo:
    """Return the target, the Solvay conference of 1927, ``(2171, 3000, 3)``; `downloads` keeps its package."""
    from stages.kit import detector  # here, as `check` needs the source alone

    return _decoded(detector.solvay(downloads))


def _decoded(image: bytes) -> Photo:
    return np.asarray(cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR), np.uint8)
