"""Find faces and their five points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.artifact.errors import SessionError
from morphstream.face.boxes import not_covered
from morphstream.face.geometry import moved, rectangle_of
from morphstream.face.types import Affine, Face
from morphstream.face.views import Size, View
from morphstream.frame import Frame, check_frame
from morphstream.session.session import Array, Session
from morphstream.turns import Turns

STRIDES = (8, 16, 32)
_ANCHORS = 2  # at each position
_OVERLAP = 0.4  # of two boxes of one face. Source: InsightFace
_MEAN, _DEVIATION = 127.5, 128.0  # of pixels, for an export with normalised inputs. Source: InsightFace
_WIDTHS = (1, 4, 10)  # score, sides of the box, moves of the points


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a frame is drawn into, ``(1, H, W, 3)``, and the position and the stride of each of its anchors."""

    pixels: npt.NDArray[np.uint8]
    at: npt.NDArray[np.float64]
    strides: npt.NDArray[np.float64]

    @property
    def size(self) -> Size:
        """Width and height, pixels."""
        return (self.pixels.shape[2], self.pixels.shape[1])


class DirectSCRFD:
    """SCRFD with five points: a prepared engine, or a session of an export as its owners make them.

    Attributes:
        size: Of its usual canvas.

    Source: Guo et al., "Sample and Computation Redistribution for Efficient Face Detection"; InsightFace's decoding.
    """

    def __init__(self, session: Session, *, threshold: float = 0.5, side: int = 640) -> None:
        """Wrap an opened detector.

        Args:
            session: An engine, from frames ``(N, H, W, 3)`` uint8 BGR to ``anchors``; or an export, from
                ``(N, 3, H, W)`` float32 RGB to nine arrays, each for one role and one stride.
            threshold: Minimum score of a face, 0..1.
            side: Of the canvas that frames are fitted into, pixels, such as 320, where the engine has no fixed one.

        Raises:
            SessionError: Its input is another.
            ValueError: The side is no multiple of the largest stride.
        """
        self._session, self._threshold, self._turns = session, threshold, Turns("detector", waits=False)
        self._input, shape = next(iter(session.input_shapes.items()))
        self._is_export = len(shape) == 4 and shape[1] == 3
        if len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise SessionError(f"expected a detector with frames as input, seen {self._input} of {shape}")
        height, width = shape[2:] if self._is_export else shape[1:3]
        self.size: Size = (side if width < 0 else width, side if height < 0 else height)
        self._canvases = {self.size: canvas_of(self.size)}

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Width and height of each canvas that its engine takes, the usual one first."""
        return (self.size, *self._session.sizes)

    def detect(self, frame: Frame, threshold: float | None = None) -> list[Face]:
        """Return the faces of a frame, by falling score.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            threshold: Minimum score, 0..1; None for the detector's.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``.
            SessionError: The engine failed, or its outputs are not those of a detector with points.
        """
        check_frame(frame)
        canvas = self._canvases[self.size]
        with self._turns:  # to have the canvas alone
            return self._find(canvas, letterbox(canvas, frame), threshold)

    def look(self, frame: Frame, view: View, threshold: float | None = None, *, size: Size | None = None) -> list[Face]:
        """Return the faces of a view of a frame, in pixels of the canvas; errors also as in `detect`.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            view: Its cells are those of the canvas.
            threshold: Minimum score, 0..1; None for the detector's.
            size: Of the canvas, one of `sizes`; None for the usual one.

        Raises:
            ValueError: It has no canvas of that size.
        """
        check_frame(frame)
        with self._turns:
            canvas = self._canvas(size or self.size)
            canvas.pixels.fill(0)
            for cell in view:
                left, top, right, bottom = cell.rectangle
                _draw(canvas.pixels[0, top:bottom, left:right], frame, cell.affine - [[0, 0, left], [0, 0, top]])
            return self._find(canvas, 1.0, threshold)

    def _canvas(self, size: Size) -> Canvas:
        if size not in self._canvases:
            if size not in self.sizes:
                raise ValueError(f"expected one of the sizes {self.sizes}, seen {size}")
            self._canvases[size] = canvas_of(size)
        return self._canvases[size]

    def _find(self, canvas: Canvas, scale: float, threshold: float | None) -> list[Face]:
        """Run the engine on a canvas; return its faces, divided by a scale."""
        rows = self._run(canvas)  # score, four sides, five points' moves
        least = self._threshold if threshold is None else threshold
        sure = np.flatnonzero(rows[:, 0] >= least)  # first, so that little is decoded
        found, at, stride = rows[sure].astype(np.float64), canvas.at[sure], canvas.strides[sure, None]
        score, sides = found[:, 0], found[:, 1:5] * stride
        box = np.hstack([at - sides[:, :2], at + sides[:, 2:]]) / scale
        point = (at[:, None] + found[:, 5:].reshape(-1, 5, 2) * stride[..., None]) / scale
        order = np.argsort(-score, kind="stable")
        kept = order[not_covered(box[order], _OVERLAP, extent=1)]
        return [Face(box_xyxy=box[i], points5=point[i], score=float(score[i])) for i in kept]

    def _run(self, canvas: Canvas) -> npt.NDArray[np.float32]:
        """Run the engine on a canvas; return ``(anchors, 15)``."""
        if not self._is_export:
            return np.asarray(self._session.run({self._input: canvas.pixels})["anchors"][0], np.float32)
        mean = (_MEAN,) * 3
        blob = cv2.dnn.blobFromImage(canvas.pixels[0], 1 / _DEVIATION, canvas.size, mean, swapRB=True)
        counts = [int((canvas.strides == stride).sum()) for stride in STRIDES]
        return _join_outputs(self._session.run({self._input: np.asarray(blob)}), counts)


def letterbox(canvas: Canvas, frame: Frame) -> float:
    """Fit a frame into the top left of a canvas, the rest black; return the scale.

    Rounding to whole pixels makes the scales of x and y differ; the scale of y is used for both, as in InsightFace.
    """
    (height, width), (full_width, full_height), pixels = frame.shape[:2], canvas.size, canvas.pixels[0]
    if height * full_width > width * full_height:
        new_height, new_width = full_height, max(1, int(full_height * width / height))
    else:
        new_height, new_width = max(1, int(full_width * height / width)), full_width
    pixels[new_height:] = 0
    pixels[:new_height, new_width:] = 0
    is_centred = all(old % new == 0 and old // new % 2 for old, new in ((height, new_height), (width, new_width)))
    how = cv2.INTER_NEAREST_EXACT if is_centred else cv2.INTER_LINEAR  # the same pixels, in half the time
    cv2.resize(frame, (new_width, new_height), dst=pixels[:new_height, :new_width], interpolation=how)
    return float(new_height / height)


def _draw(canvas: Frame, frame: Frame, affine: Affine) -> None:
    """Warp a frame into a canvas; outside the frame it is black."""
    left, top, right, bottom = rectangle_of(frame, affine, max(canvas.shape))
    if left >= right or top >= bottom:
        canvas.fill(0)
        return
    scale = np.hypot(*affine[:, 0])
    every = max(1, int(1 / scale))  # pixel, where the frame is larger than what is seen of it
    part = np.ascontiguousarray(frame[top:bottom:every, left:right:every])
    affine = moved(affine, left, top) * [every, every, 1]
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR  # a blurred face has its points nearer
    cv2.warpAffine(part, affine, canvas.shape[1::-1], dst=canvas, flags=how)


def _join_outputs(outputs: Mapping[str, Array], counts: Sequence[int]) -> npt.NDArray[np.float32]:
    """Join the arrays of an SCRFD export by role and stride, read from their shapes, as names and order differ.

    Args:
        outputs: Arrays ``(rows, width)`` or ``(1, rows, width)``; 1 wide is a score, 4 a box, 10 are points.
        counts: Rows of each stride.

    Returns:
        ``(anchors, 15)`` float32: score, box, points; the finest stride first.
    """
    found = {array.shape[-2:]: array.reshape(array.shape[-2:]) for array in outputs.values() if array.ndim in (2, 3)}
    wanted = [(rows, width) for rows in counts for width in _WIDTHS]
    if len(outputs) != len(wanted) or found.keys() != set(wanted):
        seen = ", ".join(str(array.shape) for array in outputs.values())
        raise SessionError(
            f"expected a detector's scores, boxes and points, {wanted}, seen {seen}; use SCRFD with points"
        )
    return np.concatenate([np.hstack([found[rows, width] for width in _WIDTHS]) for rows in counts]).astype(np.float32)


def canvas_of(size: Size) -> Canvas:
    """Return a black canvas.

    Raises:
        ValueError: A side is no multiple of the largest stride.
    """
    width, height = size
    if width % STRIDES[-1] or height % STRIDES[-1]:
        raise ValueError(f"expected a multiple of {STRIDES[-1]} pixels, seen {width} x {height}")
    grids = [np.mgrid[:height:stride, :width:stride][::-1].reshape(2, -1).T.repeat(_ANCHORS, 0) for stride in STRIDES]
    strides = np.repeat(np.array(STRIDES, np.float64), [len(grid) for grid in grids])
    pixels = np.zeros((1, height, width, 3), np.uint8)
    return Canvas(pixels, np.concatenate(grids).astype(np.float64), strides)
