"""Find a photo's face turned, cropped and in other sizes, and a crowd; time pictures that one look is enough for.

Promised: at 24 angles, at margins of 0 to 100 % and at 128 to 8000 pixels the face is found, with points within 0.05 of
the distance of the eyes; below 128 pixels it is found from 48 on, and how far points are off is printed. A frame that
the first look is enough for takes at most 1.03 of the time that an earlier version takes; ``--against`` names a built
checkout of it.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np

from morphstream.face.geometry import transform
from morphstream.face.types import Points
from morphstream.frame import Frame
from morphstream.pipeline import SwapPipeline

HERE = Path(__file__).resolve().parents[1]
DEMO = "build/demo"
WITHIN, RATIO = 0.05, 1.03
_OPEN = "morphstream.open if hasattr(morphstream, 'open') else morphstream.FaceSwapper.open"  # the earlier version's
_TIMED = f"""
import sys, time, cv2, morphstream
frames = [cv2.imread(name) for name in sys.argv[2:]]
with ({_OPEN})(sys.argv[1]) as swap:
    identity = swap.identify(frames[0])
    for frame in frames:
        swap.swap(frame, identity)
    for _ in range(12):
        start = time.perf_counter()
        for frame in frames:
            swap.swap(frame, identity)
        print(time.perf_counter() - start)
"""


class Try(NamedTuple):
    """A picture of the photo, where its points are, and whether they are promised to be within `WITHIN`."""

    name: str
    frame: Frame
    points5: Points
    is_promised: bool = True


def main() -> int:
    """Print what was found; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.faces_found", description=__doc__)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="a built checkout of an earlier version")
    args = parser.parse_args()
    return _against(args.against.resolve()) if args.against else _alone()


def _alone() -> int:
    photo = np.asarray(cv2.imread(str(HERE / DEMO / "source.png")), np.uint8)
    with SwapPipeline(HERE / DEMO / "store") as swap:
        (face,) = swap.detect(photo)
        failed = [tried.name for tried in _tries(photo, face.points5, face.box_xyxy) if not _holds(swap, tried)]
        failed += [name for name, frame in _crowds(photo) if not _counts(swap, name, frame)]
    print(f"not as promised: {', '.join(failed)}" if failed else "all as promised")
    return int(bool(failed))


def _tries(photo: Frame, points5: Points, box_xyxy: Points) -> Iterator[Try]:
    for angle in range(0, 360, 15):
        affine = np.array(cv2.getRotationMatrix2D((255.5, 255.5), angle, 1), np.float64)
        turned = np.asarray(cv2.warpAffine(photo, affine, (512, 512)), np.uint8)
        yield Try(f"{angle} degrees", turned, transform(points5, affine))
    size = np.tile(box_xyxy[2:] - box_xyxy[:2], 2) * [-1, -1, 1, 1]
    for percent in (0, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100):
        left, top, right, bottom = np.clip(box_xyxy + size * percent / 100, 0, 512).astype(int)
        yield Try(f"margin of {percent} %", photo[top:bottom, left:right], points5 - [left, top])
    for side in (48, 64, 80, 96, 112, 128, 160, 200, 256, 400, 640, 1000, 2000, 4000, 8000):
        how = cv2.INTER_AREA if side < 512 else cv2.INTER_CUBIC
        frame = np.asarray(cv2.resize(photo, (side, side), interpolation=how), np.uint8)
        yield Try(f"{side} pixels", frame, (points5 + 0.5) * side / 512 - 0.5, side >= 128)
    for width, height in ((6000, 512), (512, 6000)):
        frame = np.full((height, width, 3), 127, np.uint8)
        left, top = (width - 512) // 3, (height - 512) // 3
        frame[top : top + 512, left : left + 512] = photo
        yield Try(f"{width} x {height}", frame, points5 + np.array([left, top]))


def _holds(swap: SwapPipeline, tried: Try) -> bool:
    found = swap.analyser.find(tried.frame)
    if len(found.faces) != 1:
        print(f"{tried.name}: {len(found.faces)} faces in {found.looks} looks")
        return False
    eyes = np.hypot(*(tried.points5[1] - tried.points5[0]))
    error = np.linalg.norm(found.faces[0].points5 - tried.points5, axis=1).max() / eyes
    print(f"{tried.name}: off by {error:.3f} of the eyes' distance in {found.looks} looks")
    return bool(error <= WITHIN or not tried.is_promised)


def _crowds(photo: Frame) -> Iterator[tuple[str, Frame]]:
    """Yield a crowd of 200 in 6000 x 3000 pixels, upright and on its head."""
    crowd: Frame = np.tile(cv2.resize(photo, (300, 300), interpolation=cv2.INTER_AREA), (10, 20, 1)).astype(np.uint8)
    yield "a crowd", crowd
    yield "a crowd on its head", np.ascontiguousarray(crowd[::-1, ::-1])


def _counts(swap: SwapPipeline, name: str, frame: Frame) -> bool:
    found = swap.analyser.find(frame)
    print(f"{name}: {len(found.faces)} of 200 faces in {found.looks} looks")
    return len(found.faces) == 200


def _against(other: Path) -> int:
    """Time both versions in turn, in processes of their own."""
    times: dict[Path, list[float]] = {HERE: [], other: []}
    names = [str(HERE / DEMO / name) for name in ("source.png", "target.jpg")]
    for _ in range(5):
        for checkout in times:
            command = [str(checkout / ".venv/bin/python"), "-c", _TIMED, str(checkout / DEMO / "store"), *names]
            done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
            times[checkout].append(min(map(float, done.stdout.split())))
    ours, theirs = (median(found) for found in times.values())
    print(f"{ours * 1e3:.1f} ms, {theirs * 1e3:.1f} ms before: {ours / theirs:.3f}")
    return int(ours / theirs > RATIO)


if __name__ == "__main__":
    sys.exit(main())
