"""Find faces and their five points."""

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.face.types import Face, Frame, check_frame
from morphstream.session.session import Session

STRIDES = (8, 16, 32)
_ANCHORS = 2  # at each place
_OVERLAP = 0.4  # of two boxes of one face. Source: InsightFace

Boxes = npt.NDArray[np.float64]


class DirectSCRFD:
    """SCRFD with five points.

    Source: Guo et al., "Sample and Computation Redistribution for Efficient Face Detection"; InsightFace's decoding.
    """

    def __init__(self, session: Session, *, threshold: float = 0.5) -> None:
        self._session = session
        self._threshold = threshold
        _, self._height, self._width, _ = session.input_shapes["frame"]
        self._canvas = np.zeros((1, self._height, self._width, 3), np.uint8)
        sizes = [(self._height // stride, self._width // stride, stride) for stride in STRIDES]
        self._anchors = np.concatenate([_anchors(*size) for size in sizes])
        self._strides = np.concatenate(
            [np.full(_ANCHORS * rows * columns, float(stride)) for rows, columns, stride in sizes]
        )

    def detect(self, frame: Frame) -> list[Face]:
        """Return the faces of a frame, the surest first.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``.
            SessionError: The engine failed.
        """
        check_frame(frame)
        scale = self._letterbox(frame)
        rows = self._session.run({"frame": self._canvas})["anchors"][0]  # score, four sides, five points' moves
        sure = np.flatnonzero(rows[:, 0] >= self._threshold)  # first, so that little is decoded
        found, at, stride = rows[sure].astype(np.float64), self._anchors[sure], self._strides[sure, None]
        score, sides = found[:, 0], found[:, 1:5] * stride
        box = np.hstack([at - sides[:, :2], at + sides[:, 2:]]) / scale
        point = (at[:, None] + found[:, 5:].reshape(-1, 5, 2) * stride[..., None]) / scale
        order = np.argsort(-score, kind="stable")
        kept = order[_not_covered(box[order])]
        return [Face(box_xyxy=box[i], points5=point[i], score=float(score[i])) for i in kept]

    def _letterbox(self, frame: Frame) -> float:
        """Fit the frame into the top left of the canvas, the rest black; return the scale.

        Whole pixels make x and y differ a little; as InsightFace does, that of y is taken for both.
        """
        height, width = frame.shape[:2]
        if height * self._width > width * self._height:
            new_height, new_width = self._height, max(1, int(self._height * width / height))
        else:
            new_height, new_width = max(1, int(self._width * height / width)), self._width
        self._canvas.fill(0)
        is_centred = all(old % new == 0 and old // new % 2 for old, new in ((height, new_height), (width, new_width)))
        how = cv2.INTER_NEAREST_EXACT if is_centred else cv2.INTER_LINEAR  # the same pixels, in half the time
        cv2.resize(frame, (new_width, new_height), dst=self._canvas[0, :new_height, :new_width], interpolation=how)
        return float(new_height / height)


def _anchors(rows: int, columns: int, stride: int) -> Boxes:
    y, x = np.mgrid[:rows, :columns] * float(stride)
    return np.stack([x, y], axis=-1).reshape(-1, 2).repeat(_ANCHORS, axis=0)


def _not_covered(boxes: Boxes) -> list[int]:
    """Return the indices of the boxes that no surer box covers; boxes ``(N, 4)`` come surest first."""
    area = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    kept: list[int] = []
    rest = np.arange(len(boxes))
    while len(rest):
        first, rest = rest[0], rest[1:]
        kept.append(int(first))
        low, high = (
            np.maximum(boxes[first, :2], boxes[rest, :2]),
            np.minimum(boxes[first, 2:], boxes[rest, 2:]),
        )
        shared = np.clip(high - low + 1, 0, None).prod(axis=1)
        rest = rest[shared / (area[first] + area[rest] - shared) <= _OVERLAP]
    return kept
