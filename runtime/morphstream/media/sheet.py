"""Draw contact sheets: the faces of a picture, or frames of a video, each with a label."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from morphstream.face.geometry import FFHQ_512, align, cut_crop
from morphstream.face.types import Face
from morphstream.frame import Frame

SIDE = 160  # pixels of a face
_LABEL = 24  # pixels, the height of its number
_WIDE = (FFHQ_512 - 0.5) * 0.75 + 0.5  # with hair and chin
_INK = (255, 255, 255)


def draw_sheet(frame: Frame, faces: Sequence[Face]) -> Frame:
    """Return the faces of a frame, upright and of one size, with numbers from 1 in their order, row by row.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR.
        faces: One or more; the points of none are one point.
    """
    labels = [f"{number}  {face.score:.2f}" for number, face in enumerate(faces, 1)]
    return draw_grid([upright(frame, face) for face in faces], labels)


def upright(frame: Frame, face: Face) -> Frame:
    """Return a face of a frame with hair and chin, upright, `SIDE` pixels a side."""
    return cut_crop(frame, align(face.points5, _WIDE, SIDE), SIDE)


def draw_grid(frames: Sequence[Frame], labels: Sequence[str]) -> Frame:
    """Return frames of one size with a label above each, row by row.

    Args:
        frames: One or more, ``(H, W, 3)`` uint8 BGR.
        labels: One for each.
    """
    height, width = frames[0].shape[:2]
    columns = math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    grid: Frame = np.zeros((rows * (height + _LABEL), columns * width, 3), np.uint8)
    for place, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        row, column = divmod(place, columns)
        top, left = row * (height + _LABEL), column * width
        grid[top + _LABEL : top + _LABEL + height, left : left + width] = frame
        where = left + 4, top + _LABEL - 7
        cv2.putText(grid, label, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return grid
