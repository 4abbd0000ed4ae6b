"""Find people."""

import cv2
import numpy as np

from morphstream.face.boxes import not_covered
from morphstream.face.types import Person
from morphstream.frame import Frame, check_frame
from morphstream.session.session import Session

_GREY = 114  # beside the frame, and the next: Ultralytics, LetterBox and non_max_suppression
_OVERLAP = 0.7  # of two boxes of one person
_PERSON = 0  # of COCO's 80 classes
_MOST = 300  # people


class PersonDetector:
    """YOLOv8, limited to people. Source: Ultralytics."""

    def __init__(self, session: Session, *, threshold: float = 0.25) -> None:
        """Wrap an opened person detector.

        Args:
            session: Its engine.
            threshold: Minimum score of a person, 0..1.
        """
        self._session = session
        self._threshold = threshold
        _, self._height, self._width, _ = session.input_shapes["frame"]
        self._canvas = np.empty((1, self._height, self._width, 3), np.uint8)

    def detect(self, frame: Frame) -> list[Person]:
        """Return the people of a frame, by falling score.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``.
            SessionError: The engine failed.
        """
        check_frame(frame)
        scale, left, top = self._letterbox(frame)
        rows = self._session.run({"frame": self._canvas})["persons"][0]  # centre, size and 80 classes by place
        rows = rows[:, rows[4 + _PERSON] > self._threshold].astype(np.float64)  # first, so that little is decoded
        rows = rows[:, rows[4:].argmax(0) == _PERSON]
        rows = rows[:, np.argsort(-rows[4], kind="stable")]
        centre, half = rows[:2].T, rows[2:4].T / 2
        boxes = np.hstack([centre - half, centre + half])
        kept = not_covered(boxes, _OVERLAP, extent=0)[:_MOST]
        height, width = frame.shape[:2]
        inside = np.clip((boxes - [left, top] * 2) / scale, 0, [width, height] * 2)
        return [Person(box_xyxy=inside[place], score=float(rows[4, place])) for place in kept]

    def _letterbox(self, frame: Frame) -> tuple[float, int, int]:
        """Fit the frame into the middle of the canvas; return the scale, and the margins left and above."""
        height, width = frame.shape[:2]
        scale = min(self._height / height, self._width / width)
        new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
        left, top = (
            round((whole - new) / 2 - 0.1) for whole, new in ((self._width, new_width), (self._height, new_height))
        )
        self._canvas.fill(_GREY)
        part = self._canvas[0, top : top + new_height, left : left + new_width]
        cv2.resize(frame, (new_width, new_height), dst=part, interpolation=cv2.INTER_LINEAR)
        return scale, left, top
