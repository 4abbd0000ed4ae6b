"""A frame: what it is, and the check of one that comes from outside."""

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]


def check_frame(frame: Frame) -> None:
    """Check that an array is a frame.

    Raises:
        TypeError: It isn't uint8.
        ValueError: It isn't ``(H, W, 3)`` with at least one pixel.
    """
    if frame.dtype != np.uint8:
        raise TypeError(f"expected a frame of uint8, seen {frame.dtype}; scale it to 0..255")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ValueError(f"expected a BGR frame (H, W, 3), seen shape {frame.shape}; convert it first")
