"""Find far faces of a group photo inside the people of a frame, beside one look at it and beside tiles of all of it.

Promised: of 29 faces with 11 pixels or more at least 28 are found inside people, with points that are off by at most
0.15 of the distance of the eyes at the median; in 3840 x 2160 in a third of the looks of tiles. People's boxes are made
from the faces, each three heads wide and up to seven high, with borders that are off by 8 percent, as the stand-in
of the kit for yolov8n sees heads from 56 pixels on alone.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from morphstream.face.detect import DirectSCRFD
from morphstream.face.look import Look
from morphstream.face.search import find_faces
from morphstream.face.types import Face, Person, Points
from morphstream.frame import Frame
from morphstream.machine.probe import probe_machine
from morphstream.session.load import Engines, usable_cores
from morphstream.store.store import Store
from stages.photos import solvay
from stages.workspace import Workspace

HERE = Path(__file__).resolve().parents[1]
SIZES = ((1280, 720), (1920, 1080), (3840, 2160))
FACES = (11, 19, 28)  # pixels
FOUND, WITHIN, LOOKS = 28, 0.15, 1 / 3
_ONE_LOOK = Look(angles=())


class Scene(NamedTuple):
    """A frame with the group somewhere in it, the faces' points, and the people."""

    frame: Frame
    points5: list[Points]
    persons: list[Person]


class Found(NamedTuple):
    """What was found: faces, others, looks, seconds of the processors, and how far points are off, in eye distances."""

    faces: int
    others: int
    looks: int
    seconds: float
    off: float


def main() -> int:
    """Print what each way finds; return 0 if the promises hold, 1 otherwise."""
    photo = solvay(Workspace(HERE).downloads)
    is_kept = True
    with Engines(
        Store(HERE / "build/demo/store"), probe_machine(), threads=usable_cores(), cuda_graph=False
    ) as engines:
        detector = DirectSCRFD(engines("det_10g"))
        faces = find_faces(detector, photo, Look()).faces
        for size_wh in SIZES:
            for pixels in FACES:
                scene = _scene(photo, faces, size_wh, pixels)
                ways = {
                    "one look": _find(detector, scene, _ONE_LOOK),
                    "persons": _find(detector, scene, Look(angles=(), search="persons")),
                    "tiles": _find(detector, scene, Look(angles=(), detector_size=size_wh[0])),
                }
                for name, found in ways.items():
                    seen = f"{found.faces} of {len(faces)} faces and {found.others} others in {found.looks} looks"
                    time_ms = f"{found.seconds * 1e3:.0f} ms of the processors"
                    print(f"{size_wh[0]} x {size_wh[1]}, {pixels} px, {name}: {seen}, {time_ms}, off {found.off:.3f}")
                inside, tiles = ways["persons"], ways["tiles"]
                is_kept &= inside.faces >= FOUND and inside.off <= WITHIN
                is_kept &= size_wh != SIZES[-1] or inside.looks <= LOOKS * tiles.looks
    print("all promises are kept" if is_kept else "NOT all promises are kept")
    return int(not is_kept)


def _scene(photo: Frame, faces: Sequence[Face], size_wh: tuple[int, int], pixels: int) -> Scene:
    """Return the photo in the middle of a frame, scaled so that the median face has so many pixels."""
    scale = pixels / float(np.median([face.area**0.5 for face in faces]))
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    left, top = (size_wh[0] - width) // 2, (size_wh[1] - height) // 2
    frame = np.full((size_wh[1], size_wh[0], 3), 110, np.uint8)
    frame[top : top + height, left : left + width] = small
    random, persons = np.random.default_rng(pixels), []
    for face in faces:
        box = face.box_xyxy * scale + [left, top, left, top]
        middle, side = (box[:2] + box[2:]) / 2, float(np.sqrt(np.prod(box[2:] - box[:2])))
        sides = np.array([-1.5, -0.8, 1.5, random.uniform(2, 6)]) + random.normal(0, 0.08 * 3, 4)
        persons.append(Person(box_xyxy=np.tile(middle, 2) + side * sides, score=0.8))
    return Scene(frame, [(face.points5 + 0.5) * scale - 0.5 + [left, top] for face in faces], persons)


def _find(detector: DirectSCRFD, scene: Scene, look: Look) -> Found:
    start = time.process_time()
    finding = find_faces(detector, scene.frame, look, persons=(lambda _: scene.persons) if look.search else None)
    seconds, off = time.process_time() - start, []
    for points in scene.points5:
        eyes = np.hypot(*(points[1] - points[0]))
        near = [np.linalg.norm(face.points5 - points, axis=1).max() / eyes for face in finding.faces]
        off += [min(near)] if near and min(near) < 0.6 else []
    return Found(len(off), len(finding.faces) - len(off), finding.looks, seconds, float(np.median(off)) if off else 0.0)


if __name__ == "__main__":
    sys.exit(main())
