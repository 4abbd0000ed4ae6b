"""The mean face: 68 points, an outline and soft masks, drawn from ellipse arcs.

Conventions:

* Points are (x, y) in fractions of the crop's side, of the `arcface_128` crop where no other is named.
* The 68 points are in iBUG's order: 0-16 jaw, 17-26 brows, 27-30 bridge of the nose, 31-35 nostrils,
  36-47 eyes, 48-59 outer lips, 60-67 inner lips. Left is the image's left.
* The face is symmetric about x = 0.5.
* Angles are degrees: 0 to the right, 90 up the image.
* The centre of pixel i of a raster is at (i + 0.5) / size, so that rasters of two sizes show the same face.
"""

import numpy as np
import numpy.typing as npt

from stages.kit.graph import Floats, settle

# The crops' five points: left eye, right eye, nose, left and right corner of the mouth. Source: facefusion.
ARCFACE_128: Floats = np.array([
    [0.36167656, 0.40387734],
    [0.63696719, 0.40235469],
    [0.50019687, 0.56044219],
    [0.38710391, 0.72160547],
    [0.61507734, 0.72034453],
])  # fmt: skip
FFHQ_512: Floats = np.array([
    [0.37691676, 0.46864664],
    [0.62285697, 0.46912813],
    [0.50123859, 0.61331904],
    [0.39308822, 0.725411],
    [0.61150205, 0.72490465],
])  # fmt: skip

_TEMPLES = (0.5, 0.42)  # the centre of the arcs of jaw and forehead
_HALF_WIDTH = 0.3


def points68() -> Floats:
    """Return the mean face, (68, 2)."""
    jaw = _arc(_TEMPLES, (_HALF_WIDTH, 0.48), np.linspace(180, 360, 17))
    brow = _arc((0.365, 0.36), (0.1, 0.045), np.linspace(175, 20, 5))
    bridge = np.linspace((0.5, 0.405), (0.5, 0.56), 4)
    nostrils = _arc((0.5, 0.605), (0.066, 0.022), np.linspace(180, 360, 5))
    eye = _arc((0.363, 0.403), (0.046, 0.02), np.array([180, 120, 60, 0, 300, 240]))
    parts = [jaw, brow, _mirror(brow)[::-1], bridge, nostrils, eye, _mirror(eye)[[3, 2, 1, 0, 5, 4]]]
    return np.concatenate([*parts, _lips(12, 0.114, 0.035, 0.06), _lips(8, 0.095, 0.008, 0.012)])


def points5(points: Floats) -> Floats:
    """Return the eyes' centres, the nose's tip and the mouth's corners of 68 points, (5, 2)."""
    eyes = [points[36:42].mean(0), points[42:48].mean(0)]
    return settle([*eyes, points[30], points[48], points[54]])


def outline() -> Floats:
    """Return the face's convex outline, (32, 2): the jaw, and a forehead below the hair."""
    forehead = _arc(_TEMPLES, (_HALF_WIDTH, 0.15), np.linspace(0, 180, 17))
    return np.concatenate([points68()[:17], forehead[1:-1]])


def soft_mask(size: int, *, softness: float, polygon: Floats | None = None) -> Floats:
    """Draw a convex polygon, 1 inside and 0 outside, with exact arithmetic only.

    Args:
        size: The raster's side in pixels.
        softness: Width of the ramp from 0 to 1 across the edge, which is 0.5 itself; a fraction of the side.
        polygon: (M, 2), in either direction; the face's outline by default.

    Returns:
        (size, size), from 0 to 1.
    """
    corners = outline() if polygon is None else polygon
    x, y = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2)
    ahead = np.roll(corners, -1, axis=0)
    turned = sum(px * qy - qx * py for (px, py), (qx, qy) in zip(corners, ahead, strict=True))
    depth = np.full((size, size), np.inf)
    for (px, py), (qx, qy) in zip(corners, ahead, strict=True):
        length = np.sqrt((qx - px) * (qx - px) + (qy - py) * (qy - py))
        beside = ((qx - px) * (y - py) - (qy - py) * (x - px)) / length
        depth = np.minimum(depth, beside if turned > 0 else -beside)
    ramp = np.clip(depth / softness + 0.5, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp))


def similarity(source: Floats, target: Floats) -> Floats:
    """Return the (2, 3) affine of the least-squares similarity that maps one set of points to another.

    Source: Umeyama 1991, in its closed form for two dimensions.
    """
    around, goal = source - source.mean(0), target - target.mean(0)
    power = (around * around).sum()
    cosine = (around * goal).sum() / power
    sine = (around[:, 0] * goal[:, 1] - around[:, 1] * goal[:, 0]).sum() / power
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return settle(np.column_stack([turn, target.mean(0) - turn @ source.mean(0)]))


def place(points: Floats, affine: Floats) -> Floats:
    """Map (N, 2) points by a (2, 3) affine."""
    return settle(points @ affine[:, :2].T + affine[:, 2])


def _arc(centre: npt.ArrayLike, radii: npt.ArrayLike, degrees: Floats) -> Floats:
    angles = np.radians(degrees)
    return settle(np.asarray(centre) + np.asarray(radii) * np.stack([np.cos(angles), -np.sin(angles)], -1))


def _mirror(points: Floats) -> Floats:
    return np.column_stack([1 - points[:, 0], points[:, 1]])


def _lips(count: int, half_width: float, upper: float, lower: float) -> Floats:
    """Return points around the mouth from its left corner over the upper lip, (count, 2)."""
    angles = 180 - 360 * np.arange(count) / count
    arcs = [_arc((0.5, 0.721), (half_width, height), angles) for height in (upper, lower)]
    return np.concatenate([arcs[0][: count // 2 + 1], arcs[1][count // 2 + 1 :]])
