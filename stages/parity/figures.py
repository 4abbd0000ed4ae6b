"""How far outputs are from their reference, their tolerance, and the coarse figures that all machines share."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from morphstream.artifact.errors import ModelError
from morphstream.session.session import Array
from stages.params import Tolerance
from stages.surgery.plan import Plan

Arrays = Mapping[str, Array]
Form = Literal["numbers", "crop", "labels"]

# By name: cosine and max_abs_error of numbers, psnr_db and levels of a uint8 crop, labels_off of labels.
Figures = dict[str, float]

SINGLE = Tolerance(cosine=0.99999, levels=1)  # in single precision; one level is rounding
EQUAL_DB = 100.0  # the figure of equal crops, whose ratio is infinite

_WORST = {"cosine": min, "max_abs_error": max, "psnr_db": min, "levels": max, "labels_off": max}
_COSINES = (0.0, 0.9, 0.99, 0.999, 0.9999, 0.99999)
_SHARES = (0.001, 0.01, 0.1, 1.0)
_STEP_DB, _MOST_DB = 10, 50


def compare_outputs(seen: Arrays, reference: Arrays, plan: Plan) -> dict[str, Figures]:
    """Compare a plan's outputs, by name, with their reference."""
    figures = {}
    for name, output in plan.outputs.items():
        if name not in seen:
            raise ModelError(f"expected an output {name}, seen {', '.join(seen) or 'none'}")
        a, b = (side[name].astype(np.float64).ravel() for side in (seen, reference))
        if a.size != b.size:
            raise ModelError(f"{name}: expected {b.size} numbers, seen {a.size}")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise ModelError(f"{name}: expected numbers, seen NaN or infinity")
        figures[name] = figures_of(a, b, output.form)
    return figures


def figures_of(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], form: Form) -> Figures:
    """Compare one output, flat and finite, with its reference.

    The cosine is ``2ab / (aa + bb)``, which is lower than the usual one if lengths differ.
    """
    difference = np.abs(a - b)
    if form == "labels":
        return {"labels_off": float((difference > 0).mean())}
    if form == "crop":
        mean = float((difference**2).mean())
        psnr_db = min(EQUAL_DB, 10 * math.log10(255**2 / mean)) if mean else EQUAL_DB
        return {"psnr_db": psnr_db, "levels": int(difference.max())}
    cosine = float(2 * (a @ b) / (a @ a + b @ b)) if difference.any() else 1.0
    return {"cosine": cosine, "max_abs_error": float(difference.max())}


def worst(figures: Iterable[Figures]) -> Figures:
    """Return the worst value of each figure."""
    found: Figures = {}
    for one in figures:
        found |= {name: _WORST[name](value, found.get(name, value)) for name, value in one.items()}
    return found


def shortfall(figures: Figures, tolerance: Tolerance) -> str:
    """Return the first bound that figures exceed, with the value seen; empty if they are within the tolerance."""
    if (cosine := figures.get("cosine", 1.0)) < tolerance.cosine:
        return f"expected a cosine of {tolerance.cosine} at least, seen {cosine:.7f}"
    if (levels := figures.get("levels", 0)) > tolerance.levels:
        return f"expected a crop off by {tolerance.levels} levels at most, seen {levels}"
    if (share := figures.get("labels_off", 0.0)) > tolerance.labels:
        return f"expected a share of {tolerance.labels} of the labels off at most, seen {share:.4f}"
    return ""


def coarsen(figures: Figures) -> Figures:
    """Round figures to steps so coarse that all machines agree.

    A cosine in single precision becomes the bound that it had to keep. Other figures could be close to the edge of a
    step, so steps are large: the leading nines of a cosine, five at most as in the bound; 10 dB, up to 50; and shares
    by factors of ten.
    """
    found: Figures = {}
    for name, value in figures.items():
        if name == "cosine":
            found[name] = max((step for step in _COSINES if step <= value), default=0.0)
        elif name == "psnr_db":
            found[name] = min(_MOST_DB, int(value) // _STEP_DB * _STEP_DB)
        elif name == "labels_off":
            found[name] = min(step for step in _SHARES if step >= value)
    return found
