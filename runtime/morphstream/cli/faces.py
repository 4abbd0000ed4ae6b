"""``morphstream faces``: number the faces of a picture."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import NoFaceError
from morphstream.cli.look import add_finding, finding_of
from morphstream.cli.options import Commands, add_max_pixels, add_threads
from morphstream.machine.limits import check_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from morphstream.face.types import Face


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("faces", help="number the faces of a picture, from left to right")
    parser.add_argument("picture", type=Path, help="a picture")
    text = "contact sheet to write, of the original faces (NAME.faces.png, in this folder)"
    parser.add_argument("-o", "--output", type=Path, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there (refuse)")
    parser.add_argument("--json", action="store_true", help="print the faces as JSON: number, box, points, score, turn")
    add_max_pixels(parser)
    add_finding(parser)
    add_threads(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Find the faces, write the contact sheet, and print where each is."""
    check_limits()
    look = finding_of(options)
    from PIL import Image

    from morphstream.cli.pictures import hushed
    from morphstream.face.analyser import DETECTOR
    from morphstream.face.assign import from_left
    from morphstream.face.detect import DirectSCRFD
    from morphstream.face.search import find_faces
    from morphstream.machine.probe import probe_machine
    from morphstream.media.image import check_output, read_image, write_image
    from morphstream.media.sheet import draw_sheet
    from morphstream.session.load import Engines, usable_cores
    from morphstream.store.store import Store

    output = options.output or Path(f"{options.picture.stem}.faces.png")
    check_output(output, overwrite=options.overwrite, inputs=[options.picture])
    Image.MAX_IMAGE_PIXELS = None  # as in a swap
    with hushed():
        frame = read_image(options.picture, max_pixels=options.max_pixels)
    threads = options.threads or usable_cores()
    with Engines(Store(options.store), probe_machine(), threads=threads, cuda_graph=False) as engines:
        detector = DirectSCRFD(engines(engines.installed.model_of("detector", DETECTOR)))
        finding = find_faces(detector, frame, look)
    if not finding.faces:
        raise NoFaceError(f"{options.picture}: expected a face, {finding.reason(frame, look)}")
    faces = [finding.faces[index] for index in from_left(finding.faces)]
    write_image(output, draw_sheet(frame, faces), overwrite=options.overwrite, is_synthetic=False)
    if options.json:
        listed = [_object(number, face) for number, face in enumerate(faces, 1)]
        print(
            json.dumps({"picture": str(options.picture), "sheet": str(output), "looks": finding.looks, "faces": listed})
        )
    else:
        looks = "1 look" if finding.looks == 1 else f"{finding.looks} looks"
        print(f"{output}: {len(faces)} faces found in {looks}")
        print("\n".join(_table(faces)))
    return 0


def _object(number: int, face: "Face") -> dict[str, object]:
    from morphstream.face.geometry import tilt_of

    return {
        "number": number,
        "box_xyxy": face.box_xyxy.round(1).tolist(),
        "points5": face.points5.round(1).tolist(),
        "score": round(face.score, 3),
        "turned_degrees": round(tilt_of(face.points5), 1),
    }


def _table(faces: "Sequence[Face]") -> list[str]:
    """Return a line for each face: its number, score, turn, size and place."""
    from morphstream.face.geometry import tilt_of

    lines = ["face  score  turned  size         left, top"]
    for number, face in enumerate(faces, 1):
        left, top, right, bottom = face.box_xyxy.round().astype(int).tolist()
        size, turned = f"{right - left} x {bottom - top}", f"{round(tilt_of(face.points5))}°"
        lines.append(f"{number:4}   {face.score:.2f}  {turned:>6}  {size:11}  {left}, {top}")
    return lines
