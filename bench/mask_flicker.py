"""Measure how much of a mask's flicker is left after it is smoothed over time, and how far it then is from the truth.

The truth is a face's outline, still, or with a hand that crosses it in 20 frames. What an occluder makes of it is bent
anew in each frame, by 2 pixels of a crop of 128, and has a hole in one frame of seven. Promised: at most half of that
flicker is left; and the smoothed mask is nearer to the truth than what the occluder makes, with the hand, too.
"""

import sys
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from morphstream.face.mask import SteadyMasks, box_mask, soften
from morphstream.face.types import Mask

SIDE, OWN_SIDE, FRAMES = 128, 256, 90
LEFT = 0.5


def main() -> int:
    """Print flicker and distance before and after; return 0 if the promises hold, 1 otherwise."""
    is_kept = True
    for name, has_hand in (("a face", False), ("a face and a hand that crosses it", True)):
        random = np.random.default_rng(0)
        whole = [_outline(frame if has_hand else None) for frame in range(FRAMES)]
        truth, seen = ([_fitted(mask) for mask in masks] for masks in (whole, [_bent(mask, random) for mask in whole]))
        steady = SteadyMasks()
        smoothed = [steady.smoothed(seen[frame : frame + 1].__getitem__, [0])(0) for frame in range(FRAMES)]
        own, before, after = _flicker(truth), _flicker(seen), _flicker(smoothed)
        print(f"{name}: flicker {before - own:.2f} -> {after - own:.2f} levels of 255, beside its own of {own:.2f}")
        far, near = _distance(seen, truth), _distance(smoothed, truth)
        print(f"{name}: {far:.2f} -> {near:.2f} levels from the truth")
        is_kept &= near < far and after - own <= LEFT * (before - own)
    print("all promises are kept" if is_kept else "NOT all promises are kept")
    return int(not is_kept)


def _outline(frame: int | None) -> Mask:
    """Return what is visible of a face, with a hand before it at a frame's place."""
    y, x = np.mgrid[:OWN_SIDE, :OWN_SIDE]
    mask: Mask = np.clip((1 - np.hypot((x - 128) / 95, (y - 140) / 115)) * 8, 0, 1).astype(np.float32)
    if frame is not None:
        cv2.circle(mask, (round((frame % 30 / 20 * 1.3 - 0.3) * OWN_SIDE), 160), 50, 0, -1)
    return mask


def _bent(mask: Mask, random: np.random.Generator) -> Mask:
    """Return a mask as an occluder may see it: bent here and there, sometimes with a hole."""
    size = (OWN_SIDE, OWN_SIDE)
    moves = [cv2.resize(random.normal(0, 3, (6, 6)), size, interpolation=cv2.INTER_CUBIC) for _ in range(2)]
    y, x = np.mgrid[:OWN_SIDE, :OWN_SIDE]
    bent = cv2.remap(mask, (x + moves[0]).astype(np.float32), (y + moves[1]).astype(np.float32), cv2.INTER_LINEAR)
    if random.random() < 1 / 7:
        middle = random.integers(OWN_SIDE // 4, 3 * OWN_SIDE // 4, 2).tolist()
        cv2.circle(bent, middle, OWN_SIDE // 16, 0, -1)
    return np.asarray(bent, np.float32)


def _fitted(mask: Mask) -> Mask:
    return np.asarray(box_mask(SIDE) * soften(mask, SIDE), np.float32)


def _flicker(masks: Sequence[Mask]) -> float:
    """Return the mean distance of a frame's mask from the mean of its neighbours', levels of 255."""
    stack: npt.NDArray[np.float32] = np.stack(masks)
    return 255 * float(np.abs(stack[1:-1] - (stack[2:] + stack[:-2]) / 2).mean())


def _distance(masks: Sequence[Mask], truth: Sequence[Mask]) -> float:
    return 255 * float(np.abs(np.stack(masks) - np.stack(truth)).mean())


if __name__ == "__main__":
    sys.exit(main())
