"""The low-resolution face that the kit's embedder writes into the 512-vector and its swappers read back.

A face is described inside a soft window of its ``arcface_128`` crop by the cosine coefficients of a spline surface:
18x18 for luma, 9x9 for each of the two chroma planes, 486 numbers. Weights keep the frequencies that differ between
people: the lowest are lighting, the highest are grain and misalignment.

Conventions:

* Planes are ``(128, 128)``, rows first, values 0..1; ``arcface_112_v2`` crops are their rows 0..111, columns 8..119.
* Coefficients of a plane are ``analysis(n, ROWS) @ plane @ analysis(n, COLUMNS).T``; ``synthesis`` is the
  inverse.
"""

import math

import numpy as np

from stages.kit.graph import Floats, settle

SIDE = 128
LUMA, CHROMA = 18, 9  # coefficients along one axis
NUMBERS = LUMA**2 + 2 * CHROMA**2  # of an embedding that carry the face
EMBEDDING = 512
ROWS, COLUMNS = (34.0, 110.0), (28.0, 100.0)  # the span of the splines, in pixels
WINDOW_112 = (slice(0, 112), slice(8, 120))  # the 112 px crop inside the 128 px crop

# ITU-R BT.601, analogue form: R, G, B to Y, Cb, Cr.
RGB_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
YCC_TO_RGB = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])

# The average face as soft spots: distance from the middle, height, width, depth (fractions of the crop), lightness.
# Lightness: a least-squares fit to the mean of 29 faces of a group photo, rounded to whole numbers.
_SPOTS = (
    (0.14, 0.40, 0.06, 0.025, -10),  # eyes
    (0.15, 0.52, 0.06, 0.05, 4),  # cheeks
    (0.06, 0.37, 0.03, 0.04, -4),
    (0.05, 0.60, 0.025, 0.02, 3),  # nostrils
    (0.07, 0.73, 0.06, 0.025, -9),  # mouth
    (0.11, 0.68, 0.04, 0.05, 2),
    (0.15, 0.85, 0.07, 0.06, -2),
    (0.00, 0.48, 0.03, 0.08, 4),  # bridge of the nose
    (0.00, 0.58, 0.04, 0.03, -1),
    (0.00, 0.64, 0.06, 0.02, -7),
    (0.00, 0.70, 0.05, 0.03, 1),
    (0.00, 0.28, 0.20, 0.04, 3),  # forehead
    (0.00, 0.55, 0.25, 0.30, 1),
)
MEAN_SHARE = 0.75  # of the average face that is subtracted, so that the cosine of two strangers is near 0
CHROMA_SHARE = 1.5  # small, so that a grey photo still carries an identity


def window() -> Floats:
    """Return the soft ellipse between brows and chin, 1 inside and 0 outside, ``(128, 128)``."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    radius = np.sqrt(((x - 0.5) / 0.31) ** 2 + ((y - 0.58) / 0.295) ** 2)
    t = np.clip((1 - radius) / 0.2, 0, 1)
    return settle(t * t * (3 - 2 * t))


def _splines(count: int, span: tuple[float, float], side: int) -> Floats:
    """Return uniform cubic B-splines over a span of pixels as columns, ``(side, count)``."""
    pixels = (np.arange(side) + 0.5) * SIDE / side
    knots = (pixels - span[0]) / (span[1] - span[0]) * (count - 1)
    d = np.abs(knots[:, None] - np.arange(count))
    return np.where(d < 1, 2 / 3 - d**2 + d**3 / 2, np.where(d < 2, (2 - d) ** 3 / 6, 0.0))


def _cosines(count: int) -> Floats:
    """Return the orthonormal DCT-II, ``(count, count)``."""
    rows = [
        [math.cos(math.pi * (j + 0.5) * i / count) * math.sqrt((2 if i else 1) / count) for j in range(count)]
        for i in range(count)
    ]
    return np.array(rows)


def analysis(count: int, span: tuple[float, float]) -> Floats:
    """Return the matrix from pixels to cosine coefficients along one axis, ``(count, 128)``."""
    splines = _splines(count, span, SIDE)
    return settle(_cosines(count) @ np.linalg.solve(splines.T @ splines + 1e-3 * np.eye(count), splines.T))


def synthesis(count: int, span: tuple[float, float], side: int = SIDE) -> Floats:
    """Return the matrix from cosine coefficients to pixels along one axis, ``(side, count)``."""
    return settle(_splines(count, span, side) @ _cosines(count).T)


def weights(count: int) -> Floats:
    """Return each coefficient's weight in the embedding, ``(count, count)``; the target keeps those of weight 0."""
    i, j = np.mgrid[:count, :count]
    r = np.sqrt(i * i + j * j)
    band = (r / 4) ** 2 / (1 + (r / 4) ** 2) / (1 + (r / 7) ** 6)
    return settle(np.where((r < 1.2) | (r > 14), 0, band))


def inverse_weights(count: int) -> Floats:
    """Return ``1 / weights``, and 0 where a weight is 0, ``(count, count)``."""
    w = weights(count)
    return settle(np.divide(1.0, w, out=np.zeros_like(w), where=w > 0))


def mean_luma() -> Floats:
    """Return the average face's weighted luma coefficients times `MEAN_SHARE`; norm `MEAN_SHARE`, ``(18, 18)``."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    plane = np.zeros((SIDE, SIDE))
    for distance, height, width, depth, lightness in _SPOTS:
        for side in (-1, 1):
            spot = ((x - 0.5 - side * distance) / width) ** 2 + ((y - height) / depth) ** 2
            plane += lightness / 2 * np.exp(-spot / 2)
    soft = window()
    plane = soft * (plane - (soft * plane).sum() / soft.sum())
    mean = weights(LUMA) * (analysis(LUMA, ROWS) @ plane @ analysis(LUMA, COLUMNS).T)
    return settle(MEAN_SHARE * mean / np.sqrt((mean * mean).sum()))
