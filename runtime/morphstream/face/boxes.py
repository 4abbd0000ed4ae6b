"""Suppress boxes that overlap one with a higher score."""

import numpy as np
import numpy.typing as npt


def not_covered(boxes_xyxy: npt.NDArray[np.float64], overlap: float, *, extent: int) -> list[int]:
    """Return the indices of the boxes that no box with a higher score overlaps (non-maximum suppression).

    Args:
        boxes_xyxy: ``(N, 4)``, by falling score.
        overlap: Maximum intersection over union of two boxes that are kept, 0..1.
        extent: 1 where the last pixel is part of a box, as InsightFace counts; else 0.
    """
    low, high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:] + extent
    area = (high - low).prod(axis=1)
    kept: list[int] = []
    rest = np.arange(len(boxes_xyxy))
    while len(rest):
        first, rest = rest[0], rest[1:]
        kept.append(int(first))
        shared = np.minimum(high[first], high[rest]) - np.maximum(low[first], low[rest])
        both = np.clip(shared, 0, None).prod(axis=1)
        rest = rest[both <= overlap * (area[first] + area[rest] - both)]
    return kept
