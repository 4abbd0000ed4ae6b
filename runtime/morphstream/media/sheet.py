"""Draw a contact sheet: the faces of a picture, numbered."""

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
    columns = math.ceil(math.sqrt(len(faces)))
    rows = math.ceil(len(faces) / columns)
    sheet: Frame = np.zeros((rows * (SIDE + _LABEL), columns * SIDE, 3), np.uint8)
    for place, face in enumerate(faces):
        row, column = divmod(place, columns)
        top, left = row * (SIDE + _LABEL), column * SIDE
        sheet[top + _LABEL : top + _LABEL + SIDE, left : left + SIDE] = cut_crop(
            frame, align(face.points5, _WIDE, SIDE), SIDE
        )
        label, where = f"{place + 1}  {face.score:.2f}", (left + 4, top + _LABEL - 7)
        cv2.putText(sheet, label, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return sheet
