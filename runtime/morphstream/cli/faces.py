"""``morphstream faces``: number the faces of a picture, or the people of a video."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import NoFaceError
from morphstream.cli.look import add_finding, finding_of
from morphstream.cli.options import Commands, UsageError, add_max_pixels, add_threads, checked, number
from morphstream.cli.videos import add_range
from morphstream.machine.limits import check_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from morphstream.face.types import Face


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "number the faces of a picture, from left to right, or the people of a video, by how long they are seen"
    parser = commands.add_parser("faces", help=text)
    parser.add_argument("picture", type=Path, help="a picture or a video")
    text = "contact sheet to write, of the original faces (NAME.faces.png, in this folder)"
    parser.add_argument("-o", "--output", type=Path, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there (refuse)")
    add_max_pixels(parser)
    add_finding(parser)
    add_threads(parser)
    videos = parser.add_argument_group("videos")
    add_range(videos)
    text = "minimum cosine of two faces of one person, -1 to 1: more tells more people apart (0.4)"
    videos.add_argument("--threshold", type=checked(number(-1, 1)), metavar="COSINE", help=text)
    text = "write a picture of each person's face there, too: 1.png, 2.png, as --map of swap takes them"
    videos.add_argument("--portraits", type=Path, metavar="FOLDER", help=text)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Find the faces or people, write the contact sheet, and print where or when each is."""
    check_limits()
    from morphstream.cli.targets import is_clip

    if is_clip(options.picture):
        from morphstream.cli import people

        return people.run(options)
    if any(value is not None for value in (options.start, options.end, options.threshold, options.portraits)):
        raise UsageError("--start, --end, --threshold and --portraits: expected a video, seen another file")
    return _run_picture(options)


def _run_picture(options: argparse.Namespace) -> int:
    """Number the faces of a picture."""
    look = finding_of(options)
    from PIL import Image

    from morphstream.cli.pictures import hushed
    from morphstream.face.assign import from_left
    from morphstream.media.image import check_output, read_image, write_image
    from morphstream.media.sheet import draw_sheet
    from morphstream.pipeline import open_analyser

    output = options.output or Path(f"{options.picture.stem}.faces.png")
    check_output(output, overwrite=options.overwrite, inputs=[options.picture])
    Image.MAX_IMAGE_PIXELS = None  # as in a swap
    with hushed():
        frame = read_image(options.picture, max_pixels=options.max_pixels)
    with open_analyser(options.store, threads=options.threads) as analyser:
        found = analyser.find(frame, look)
    if not found.faces:
        raise NoFaceError(f"{options.picture}: expected a face, {found.reason}")
    faces = [found.faces[index] for index in from_left(found.faces)]
    write_image(output, draw_sheet(frame, faces), overwrite=options.overwrite, is_synthetic=False)
    if options.json:
        listed = [_object(place, face) for place, face in enumerate(faces, 1)]
        print(
            json.dumps({"picture": str(options.picture), "sheet": str(output), "looks": found.looks, "faces": listed})
        )
    else:
        looks = "1 look" if found.looks == 1 else f"{found.looks} looks"
        print(f"{output}: {len(faces)} faces found in {looks}")
        print("\n".join(_table(faces)))
    return 0


def _object(place: int, face: "Face") -> dict[str, object]:
    from morphstream.face.geometry import tilt_of

    return {
        "number": place,
        "box_xyxy": face.box_xyxy.round(1).tolist(),
        "points5": face.points5.round(1).tolist(),
        "score": round(face.score, 3),
        "turned_degrees": round(tilt_of(face.points5), 1),
    }


def _table(faces: "Sequence[Face]") -> list[str]:
    """Return a line for each face: its number, score, turn, size and place."""
    from morphstream.face.geometry import tilt_of

    lines = ["face  score  turned  size         left, top"]
    for place, face in enumerate(faces, 1):
        left, top, right, bottom = face.box_xyxy.round().astype(int).tolist()
        size, turned = f"{right - left} x {bottom - top}", f"{round(tilt_of(face.points5))}°"
        lines.append(f"{place:4}   {face.score:.2f}  {turned:>6}  {size:11}  {left}, {top}")
    return lines
