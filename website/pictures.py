"""Make the pictures of README and docs out of photos of the public domain, with the engines of `make demo`.

``python -m website.pictures`` writes them into ``docs/images/``, marked as synthetic. The astronaut is Eileen Collins
(NASA); the group is the Solvay conference of 1927.
"""

import argparse
import sys
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

import morphstream
from morphstream.artifact.errors import MorphstreamError
from morphstream.face.geometry import align, cut_crop
from morphstream.face.swap import TEMPLATE
from morphstream.frame import Frame
from morphstream.media.image import write_image
from stages.photos import astronaut, solvay
from stages.workspace import Workspace

ROOT = Path(__file__).parents[1]
SWAP_MODEL = "inswapper_128"
_HEIGHT, _GAP, _SIDE = 300, 8, 256  # pixels
_PEOPLE = slice(980, 1330), slice(1100, 1760)  # rows and columns of the photo
_ONE = slice(975, 1205), slice(1330, 1560)
_GREEN = (80, 200, 60)


def main() -> int:
    """Write the pictures; return 0, or 1 where there is no store yet."""
    parser = argparse.ArgumentParser(prog="python -m website.pictures", description=__doc__)
    workspace = Workspace(ROOT)
    parser.add_argument("--store", type=Path, default=workspace.demo / "store", help="booted (build/demo/store)")
    options, folder = parser.parse_args(), ROOT / "docs/images"
    source, photo = astronaut(), solvay(workspace.downloads)
    try:
        with morphstream.open(options.store, swap_model=SWAP_MODEL) as swap:
            identity = swap.identify(source)
            swapped = swap(photo, identity)
            steps = steps_of(swap, options.store, photo[_ONE], identity)
    except MorphstreamError as error:
        print(f"website.pictures: {error}", file=sys.stderr)
        return 1
    portrait = source[20:300, 90:370]
    write_image(folder / "swap.jpg", beside(portrait, photo[_PEOPLE], swapped[_PEOPLE]), overwrite=True)
    write_image(folder / "steps.jpg", beside(*steps), overwrite=True)
    return 0


def steps_of(swap: morphstream.SwapPipeline, store: Path, frame: Frame, identity: morphstream.Identity) -> list[Frame]:
    """Return what becomes of one face: found, cut out, masked, swapped, pasted back; each a picture."""
    frame = np.ascontiguousarray(frame)
    face = max(swap.detect(frame), key=lambda found: found.area)
    drawn = frame.copy()
    left, top, right, bottom = (round(float(side)) for side in face.box_xyxy)
    cv2.rectangle(drawn, (left, top), (right, bottom), _GREEN, 2, cv2.LINE_AA)
    for x, y in face.points5:
        cv2.circle(drawn, (round(float(x)), round(float(y))), 3, _GREEN, -1, cv2.LINE_AA)
    after = swap(frame, identity, faces=[face])
    affine = align(face.points5, TEMPLATE, _SIDE)
    before, crop = (cut_crop(picture, affine, _SIDE) for picture in (frame, after))
    return [drawn, before, _mask(store, before), crop, after]


def _mask(store: Path, crop: Frame) -> Frame:
    """Return which pixels of a crop show the face, as the occluder says, in grey."""
    with closing(morphstream.open_session(morphstream.Store(store).current(), "xseg_1")) as session:
        mask = morphstream.Occluder(session).find_visible(crop[None])[0]
    return np.repeat(np.rint(mask * 255).astype(np.uint8)[..., None], 3, axis=2)


def beside(*pictures: Frame) -> Frame:
    """Return pictures in a row, of one height, with white between."""
    gap = np.full((_HEIGHT, _GAP, 3), 255, np.uint8)
    parts = list[Frame]()
    for picture in pictures:
        width = round(picture.shape[1] * _HEIGHT / picture.shape[0])
        parts += [np.asarray(cv2.resize(picture, (width, _HEIGHT), interpolation=cv2.INTER_AREA), np.uint8), gap]
    return np.hstack(parts[:-1])


if __name__ == "__main__":
    sys.exit(main())
