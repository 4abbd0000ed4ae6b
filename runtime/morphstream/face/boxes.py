"""Suppress boxes that overlap one with a higher score."""

import cv2
import numpy as np
import numpy.typing as npt


def not_covered(boxes_xyxy: npt.NDArray[np.float64], overlap: float, *, extent: int) -> list[int]:
    """Return the indices of the boxes that no box with a higher score overlaps (non-maximum suppression).

    Args:
        boxes_xyxy: ``(N, 4)``, by falling score.
        overlap: Maximum intersection over union of two boxes that are kept, 0..1.
        extent: 1 where the last pixel is part of a box, as InsightFace counts; else 0.
    """
    corners, sizes = boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2] + extent
    ranks = np.arange(len(boxes_xyxy), 0, -1, dtype=np.float32)  # as scores, so that equal ones keep their order
    return list(cv2.dnn.NMSBoxes(np.hstack([corners, sizes]), ranks, 0, overlap))  # type: ignore[arg-type]
