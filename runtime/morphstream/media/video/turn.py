"""Turn pixels as they are coded upright, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData, Type

_ONE = 0x10000  # in a display matrix
_Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a display matrix does to coded pixels: swap rows and columns, then reverse them.

    Attributes:
        is_transposed: Rows become columns.
        is_mirrored: Each row is reversed after that.
        is_upside_down: The order of rows is reversed after that.
    """

    is_transposed: bool = False
    is_mirrored: bool = False
    is_upside_down: bool = False

    def upright(self, pixels: _Pixels) -> _Pixels:
        """Return coded pixels ``(H, W, ...)`` upright: a copy, or the same if nothing is to be turned."""
        if self.is_transposed:
            pixels = cast("_Pixels", cv2.transpose(pixels))
        if self.is_mirrored or self.is_upside_down:
            code = -1 if self.is_mirrored and self.is_upside_down else int(self.is_mirrored)
            pixels = cast("_Pixels", cv2.flip(pixels, code))
        return pixels

    def coded(self, pixels: _Pixels) -> _Pixels:
        """Return a view of upright pixels ``(H, W, ...)`` as they are coded."""
        turned = pixels[:: -1 if self.is_upside_down else 1, :: -1 if self.is_mirrored else 1]
        return turned.swapaxes(0, 1) if self.is_transposed else turned


UPRIGHT = Turn()


def turn_of(matrix: Sequence[int] | None) -> Turn | None:
    """Return what a display matrix does, None if it is more than quarter turns and mirroring.

    Args:
        matrix: Nine numbers as FFmpeg has them, None for none.

    Source: FFmpeg, libavutil/display.h: (x, y) goes to (a x + c y, b x + d y).
    """
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = (round(value / _ONE) if abs(value) in (0, _ONE) else 2 for value in matrix[:5])
    if abs(a) == abs(d) == 1 and b == c == 0:
        return Turn(is_mirrored=a < 0, is_upside_down=d < 0)
    if abs(b) == abs(c) == 1 and a == d == 0:
        return Turn(is_transposed=True, is_mirrored=c < 0, is_upside_down=b < 0)
    return None


def display_matrix_of(picture: av.VideoFrame) -> tuple[int, ...] | None:
    """Return the nine numbers that say how a picture is to be shown, None if it has none.

    Args:
        picture: Not to be made writable later: PyAV keeps what it gave out of it, and that is freed then.
    """
    try:
        found = cast("Mapping[Type, SideData]", picture.side_data).get(Type.DISPLAYMATRIX)
    except ValueError:  # PyAV gives nothing of a picture that has a kind of data it doesn't know, as EXIF is
        turns = {90: (0, -_ONE, 0, _ONE, 0), -90: (0, _ONE, 0, -_ONE, 0), 180: (-_ONE, 0, 0, 0, -_ONE)}
        turn = turns.get(abs(picture.rotation) if abs(picture.rotation) == 180 else picture.rotation)
        return turn and (*turn, 0, 0, 0, 1 << 30)
    return tuple(np.frombuffer(memoryview(found), np.int32).tolist()) if found is not None else None
