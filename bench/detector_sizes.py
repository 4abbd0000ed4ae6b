"""Look for the astronaut on each canvas of the detector's CPU engine: processor time, and where the points are.

Promised of the small canvas beside the usual one, both with the whole photo: at most 0.35 of its time a look, and
points within 0.08 of the distance of the eyes.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from morphstream.face.detect import DirectSCRFD
from morphstream.face.geometry import transform
from morphstream.face.types import Points
from morphstream.face.views import Size, whole
from morphstream.frame import Frame
from morphstream.session.openvino import OpenVINOSession
from stages.photos import astronaut
from stages.workspace import Workspace

SHARE_AT_MOST, OFF_AT_MOST = 0.35, 0.08
_BEFORE = 2  # looks that aren't counted


def main() -> int:
    """Print a line a canvas; return 0 if the promise holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.detector_sizes", description=__doc__)
    parser.add_argument("--engines", type=Path, default=Workspace(Path()).engines, help="a folder for each model")
    parser.add_argument("--runs", type=int, default=40, help="of which the median is taken")
    options = parser.parse_args()
    (path,) = (options.engines / "det_10g/cpu").glob("*.xml")
    start = time.process_time()
    session = OpenVINOSession(path, threads=1)
    detector, photo = DirectSCRFD(session), np.ascontiguousarray(astronaut()[..., ::-1])
    print(f"opened in {1000 * (time.process_time() - start):.0f} ms")
    (face,) = detector.detect(photo)
    eyes = float(np.hypot(*(face.points5[1] - face.points5[0])))
    found = {size: _look(detector, photo, size, options.runs) for size in detector.sizes}
    usual = found[detector.size]
    for (width, height), (ms, first_ms, points) in found.items():
        off = np.abs(points - usual[2]).max() / eyes
        looks = f"{width} x {height}: {ms:.1f} ms a look, the first {first_ms:.0f}"
        print(f"{looks}; points within {off:.3f} of the distance of the eyes")
    small = found[detector.sizes[-1]]
    is_kept = small[0] <= SHARE_AT_MOST * usual[0] and np.abs(small[2] - usual[2]).max() <= OFF_AT_MOST * eyes
    session.close()
    print("promised:", "kept" if is_kept and len(found) > 1 else "NOT kept")
    return 0 if is_kept and len(found) > 1 else 1


def _look(detector: DirectSCRFD, photo: Frame, size: Size, runs: int) -> tuple[float, float, Points]:
    """Return the median and the first time of a look on a canvas, ms of one processor, and the points it finds."""
    view, times = whole((photo.shape[1], photo.shape[0]), size), list[float]()
    for _ in range(runs + _BEFORE):
        start = time.process_time()
        faces = detector.look(photo, view, size=size)
        times.append(1000 * (time.process_time() - start))
    face = max(faces, key=lambda face: face.score)
    back = np.linalg.inv(np.vstack([view[0].affine, [0, 0, 1]]))[:2]
    return median(times[_BEFORE:]), times[0], transform(face.points5, back)


if __name__ == "__main__":
    sys.exit(main())
