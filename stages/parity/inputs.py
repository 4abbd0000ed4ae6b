"""The inputs of the comparison: rows of seeded random numbers, and rows from a real photo."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stages.photos import astronaut

Pixels = npt.NDArray[np.uint8]

_ROWS = 2  # of all but images of faces
_SEED = 20271102
_BLOCK, _NOISE = 16, 20  # pixels of one colour, before noise; levels
_DARKER = 8  # times

# The astronaut's five points in pixels of the photo, as the kit's detector finds them, and the similarity that maps
# the photo to a crop of side 1 in which these points fit the template arcface_128, which most models expect.
POINTS5 = np.array([[204.42, 100.81], [247.31, 103.09], [223.53, 128.42], [201.16, 138.53], [246.45, 140.62]])
ALIGNED = np.array([[0.0067311, 0.0003899, -1.0591], [-0.0003899, 0.0067311, -0.17388]])


def sample_inputs(contract: Mapping[str, Any]) -> dict[str, npt.NDArray[np.generic]]:
    """Return inputs for a prepared model with a contract.json, the same on every run.

    The input for a uint8 ``frame`` is the whole photo, for any other image the aligned face, for a row of numbers a
    vector of length 1, and for points those of the face; beside each, random ones.
    """
    random = np.random.default_rng(_SEED)
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, value in contract["inputs"].items():
        _, *shape = value["shape"]
        if value["dtype"] == "uint8":
            height, width, _ = shape
            if name == "frame":
                arrays[name] = np.stack([_blocks(random, height, width), _frame(height, width)])
            else:
                arrays[name] = np.stack(_crops(random, height, contract["role"]))
        elif len(shape) == 1:
            directions = random.standard_normal((_ROWS, *shape))
            arrays[name] = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
        else:
            points = POINTS5 @ ALIGNED[:, :2].T + ALIGNED[:, 2]
            arrays[name] = np.stack([random.uniform(0.2, 0.8, shape), points]).astype(np.float32)
    return arrays


def _crops(random: np.random.Generator, side: int, role: str) -> list[Pixels]:
    """Return square images with and without a face, as many as a role needs."""
    face = _face(side)
    if role == "landmarker":  # which finds its points anywhere where there is no face
        return [_noisy(random, face[:, ::-1].astype(np.int64)), face]
    if role == "embedder":  # few of its numbers are close to 0 in all four
        return [_blocks(random, side, side), face, face[::-1], _blocks(random, side, side)]
    if role == "occluder":  # of a face that is half in the dark
        return [np.concatenate([face[: side // 2], face[side // 2 :] // _DARKER]), face]
    return [_blocks(random, side, side), face]


def _blocks(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Return an image with flat areas, edges and noise."""
    coarse = random.integers(0, 256, (height // _BLOCK, width // _BLOCK, 3))
    return _noisy(random, coarse.repeat(_BLOCK, 0).repeat(_BLOCK, 1))


def _noisy(random: np.random.Generator, image: npt.NDArray[np.int64]) -> Pixels:
    noise = random.integers(-_NOISE, _NOISE + 1, image.shape)
    noisy: Pixels = np.clip(image + noise, 0, 255).astype(np.uint8)
    return noisy


def _frame(height: int, width: int) -> Pixels:
    """Return a frame with the photo in its top left corner, as large as it fits."""
    photo = astronaut()
    scale = min(height / photo.shape[0], width / photo.shape[1])
    frame = np.zeros((height, width, 3), np.uint8)
    rows, columns = int(photo.shape[0] * scale), int(photo.shape[1] * scale)
    frame[:rows, :columns] = cv2.resize(photo, (columns, rows))
    return frame


def _face(side: int) -> Pixels:
    return np.asarray(cv2.warpAffine(astronaut(), ALIGNED * side, (side, side), flags=cv2.INTER_LINEAR), np.uint8)
