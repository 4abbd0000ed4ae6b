"""Views of a frame: what the detector's canvas shows of it, whole, turned, in tiles, or face by face; pure.

A view is a list of cells. A turn is in degrees, clockwise as the frame is seen.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from morphstream.face.geometry import Rectangle, turned
from morphstream.face.types import Affine, Points

Size = tuple[int, int]  # width, height
_OVERLAP = 160  # pixels of the canvas that tiles share: a larger face is found in larger tiles
_LONGEST, _LONGEST_TURNED = 5120, 2560  # pixels, as few pictures show a crowd on its side
_FEWER = 1.3  # times the canvas's side; a smaller frame isn't worth tiles
_PADDED = 0.55  # of the canvas's side. A face that fills more than 0.6 of it is missed
_CELL = 320  # pixels of the canvas: room for a face and what is around it
FACE, NEAR_FACE = 150 / 320, 130 / 320  # of a cell's side, the side of a face's box: where points are steadiest; truest
_HEADS, _ABOVE = 1.2, 0.1  # of a person's width, side of the square that shows the head; of it, what is above
_ENLARGED = 3  # times at most, or as the first look: a face that is blurred scores less


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of the canvas, and the affine that maps the frame to the canvas there."""

    affine: Affine
    rectangle: Rectangle


View = Sequence[Cell]


def whole(size: Size, canvas: Size, turn: float = 0, fill: float = 1.0) -> View:
    """Return a view of the whole frame, turned, that takes a part of the canvas's side, `fill`; the rest is black."""
    width, height = _extent(size, turn)
    scale = fill * min(canvas[0] / width, canvas[1] / height)
    return [_cell(size, turn, scale, (canvas[0] / 2, canvas[1] / 2), canvas)]


def part(rectangle: Rectangle, canvas: Size) -> View:
    """Return a view of a rectangle of the frame, as large as the canvas allows, and of what fits around it."""
    left, top, right, bottom = rectangle
    middle = ((left + right - 1) / 2, (top + bottom - 1) / 2)
    scale = min(canvas[0] / (right - left), canvas[1] / (bottom - top), _ENLARGED)
    affine = turned(0, scale, middle, ((canvas[0] - 1) / 2, (canvas[1] - 1) / 2))
    return [Cell(affine, (0, 0, *canvas))]


def tiles(size: Size, canvas: Size, longest: float, turn: float = 0) -> list[View]:
    """Return views that show all of a turned frame whose longer side is scaled to `longest` pixels."""
    scale = longest / max(size)
    width, height = (length * scale for length in _extent(size, turn))
    middles = [(x, y) for y in _middles(height, canvas[1]) for x in _middles(width, canvas[0])]
    return [[_cell(size, turn, scale, middle, canvas)] for middle in middles]


def upright(places: Sequence[tuple[Points, float, float]], size: Size, canvas: Size, face: float = FACE) -> list[View]:
    """Return views of places of the frame, each alone and turned in a cell of its own.

    Args:
        places: The middle of a face, the side of its box, and the turn.
        size: Of the frame.
        canvas: Its size.
        face: The side of a face's box, of a cell's side.
    """
    columns, rows = (max(1, side // _CELL) for side in canvas)
    width, height = canvas[0] // columns, canvas[1] // rows
    enlarged, cells = max(_ENLARGED, max(canvas) / max(size)), []
    for number, (middle, side, turn) in enumerate(places):
        row, column = divmod(number % (columns * rows), columns)
        left, top = column * width, row * height
        scale = min(face * min(width, height) / side, enlarged)
        affine = turned(turn, scale, middle, (left + width / 2, top + height / 2))
        cells.append(Cell(affine, (left, top, left + width, top + height)))
    return [cells[start : start + columns * rows] for start in range(0, len(cells), columns * rows)]


def heads(persons_xyxy: Sequence[npt.NDArray[np.float64]], size: Size, canvas: Size) -> list[View]:
    """Return views of the heads of people, each in a cell of its own; of none whom a view of all shows as large.

    Args:
        persons_xyxy: Their boxes, pixels of the frame.
        size: Of the frame.
        canvas: Its size.
    """
    least = min(_CELL, *canvas) / (_FEWER * min(canvas[0] / size[0], canvas[1] / size[1]))
    squares = [head_square(box) for box in persons_xyxy]
    places = [((box[:2] + box[2:]) / 2, (box[2] - box[0]) * FACE, 0.0) for box in squares if box[2] - box[0] < least]
    return upright(places, size, canvas)


def head_square(person_xyxy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the square ``(4,)`` at the top of a person's box that shows the head, and is as wide as the shoulders."""
    left, top, right, bottom = person_xyxy
    side = _HEADS * min(max(right - left, (bottom - top) / 3), bottom - top)
    middle, top = (left + right) / 2, top - _ABOVE * side
    return np.array([middle - side / 2, top, middle + side / 2, top + side])


def closer(size: Size, canvas: Size, longest: float | None = None) -> list[View]:
    """Return tiles of every scale from the whole frame's to `longest` pixels, the largest faces first.

    None is for what the frame has, up to where a face of 12 pixels is found; no tiles where that is hardly more.
    """
    if longest is None:
        longest = min(max(size), _LONGEST)
        if longest < _FEWER * max(canvas):
            return []
    scales = [longest]
    while scales[-1] / 2 > _FEWER * max(canvas):
        scales.append(scales[-1] / 2)
    return [view for scale in reversed(scales) for view in tiles(size, canvas, scale)]


def again(size: Size, canvas: Size, angles: Sequence[float]) -> Iterator[Sequence[View]]:
    """Yield groups of views to look at until faces are found in one: padded, turned, both, and in tiles."""
    yield [whole(size, canvas, fill=_PADDED)]
    yield [whole(size, canvas, angle) for angle in angles if angle % 360]
    yield [whole(size, canvas, angle, _PADDED) for angle in angles if angle % 360]
    if views := closer(size, canvas):
        yield views
        most = min(max(size), _LONGEST_TURNED)
        quarters = [angle for angle in angles if angle % 360 and not angle % 90]
        yield [view for angle in quarters for view in tiles(size, canvas, most, angle)]


def _extent(size: Size, turn: float) -> tuple[float, float]:
    """Return the size of the rectangle around a turned frame."""
    cosine, sine = abs(math.cos(math.radians(turn))), abs(math.sin(math.radians(turn)))
    return size[0] * cosine + size[1] * sine, size[0] * sine + size[1] * cosine


def _middles(length: float, side: int) -> list[float]:
    """Return where the frame's middle is in each tile of a row, so that tiles overlap."""
    count = 1 + max(0, math.ceil((length - side) / (side - _OVERLAP) - 1e-6))
    step = (length - side) / max(1, count - 1)
    return [side / 2] if count == 1 else [length / 2 - step * number for number in range(count)]


def _cell(size: Size, turn: float, scale: float, middle: tuple[float, float], canvas: Size) -> Cell:
    """Return the whole canvas as a cell, with the frame's middle at a point of it."""
    affine = turned(turn, scale, ((size[0] - 1) / 2, (size[1] - 1) / 2), (middle[0] - 0.5, middle[1] - 0.5))
    return Cell(affine, (0, 0, *canvas))
