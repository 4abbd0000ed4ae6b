"""Draw a few words into a frame that say to whoever sees it that it is synthetic."""

from functools import lru_cache

import cv2
import numpy as np

from morphstream.frame import Frame

WORDS = "AI-swapped face"
_LINE = 1 / 30  # height of a line of letters, as a part of the frame's
_LEAST_PIXELS = 12  # less isn't readable after a video encoder
_FONT, _INK, _BEHIND = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255), 0.35  # what shows through behind the letters


def draw_visible_mark(frame: Frame) -> None:
    """Draw `WORDS` into the lower left corner of a frame, in place, white on what is there darkened.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR, modified. One that is narrower than the words gets smaller ones.
    """
    height, width = frame.shape[:2]
    plate = _plate(min(height, round(width * 3 / 4)), width)
    corner = frame[max(height - len(plate), 0) :, : plate.shape[1]]
    corner[:] = cv2.addWeighted(corner, _BEHIND, plate[: len(corner)], 1, 0)


@lru_cache(maxsize=16)
def _plate(height: int, width: int) -> Frame:
    """Return the words in white on black, for a frame of so many pixels that is no higher than 3/4 of its width."""
    line = max(_LEAST_PIXELS, round(height * _LINE))
    thickness = max(1, line // 12)
    (text_width, text_height), below = cv2.getTextSize(WORDS, _FONT, scale := line / 22, thickness)
    margin = line // 2
    plate = np.zeros((text_height + below + margin, text_width + 2 * margin, 3), np.uint8)
    where = margin, text_height + margin // 2
    cv2.putText(plate, WORDS, where, _FONT, scale, _INK, thickness, cv2.LINE_AA)
    if plate.shape[1] > width:
        small = max(1, len(plate) * width // plate.shape[1])
        plate = np.asarray(cv2.resize(plate, (width, small), interpolation=cv2.INTER_AREA), np.uint8)
    return plate
