"""How far outputs are from their reference, their tolerance, and the coarse figures that all machines share."""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from morphstream.artifact.errors import ModelError
from morphstream.session.session import Array
from stages.parity.meaning import Floats, Part, parts_of
from stages.surgery.contract import LABELS
from stages.surgery.plan import Plan
from stages.tolerance import SINGLE, Tolerance

Arrays = Mapping[str, Array]

# By name: pixels, the greatest difference of boxes, and the greatest mean of a row's 68 points; farthest, the greatest
# of a point; score, the greatest difference; column_cosine, the least of any column over its items; cosine of an
# embedding, and number_cosine of its numbers over the rows; levels and psnr_db of a crop or a mask; labels_off, the
# share that differs; overlap, the least of any label's areas.
Figures = dict[str, float]

EQUAL_DB = 100.0  # the figure of equal crops, whose ratio is infinite

_WORST = {
    "pixels": max,
    "farthest": max,
    "score": max,
    "column_cosine": min,
    "cosine": min,
    "number_cosine": min,
    "levels": max,
    "psnr_db": min,
    "labels_off": max,
    "overlap": min,
}
# The greatest difference that counts as none: half precision may make a 0 of a number. An embedding's is by its rms.
_NEGLIGIBLE = {"boxes": 1e-3, "points": 1e-3, "score": 1e-6, "mask": 1e-2, "embedding": 1e-7}
_LOOSER = 100  # times as far from 1: a number of an embedding is compared over few rows, and may be close to 0 in all
_NUMBER_AT_LEAST = 0.5
_FARTHEST = 20  # times the mean: with 0.25 pixels, the next cell of four pixels and a quarter of a cell
_OVERLAP_AT_LEAST, _AREA_AT_LEAST = 0.25, 16  # of the areas of one label; in pixels
_COSINES = (0.0, 0.9, 0.99, 0.999, 0.9999, 0.99999)
_STEPS = {
    "pixels": (0.1, 1.0, 10.0, 100.0),
    "score": (0.001, 0.01, 0.1, 1.0),
    "labels_off": (0.001, 0.01, 0.1, 1.0),
}
_STEP_DB, _MOST_DB = 10, 50


def compare_outputs(seen: Arrays, reference: Arrays, plan: Plan) -> dict[str, Figures]:
    """Compare a plan's outputs, by name, with their reference, each number by what it means."""
    figures = {}
    for name in plan.outputs:
        if name not in seen:
            raise ModelError(f"expected an output {name}, seen {', '.join(seen) or 'none'}")
        a, b = seen[name], reference[name]
        if (a.shape, a.dtype.kind) != (b.shape, b.dtype.kind):
            expected = f"expected {b.dtype} of shape {b.shape}"
            raise ModelError(f"{name}: {expected}, seen {a.dtype} of shape {a.shape}")
        check_finite(name, a)
        check_finite(f"the reference's {name}", b)
        pairs = zip(parts_of(name, a), parts_of(name, b), strict=True)
        figures[name] = worst(figures_of(part, right.numbers) for part, right in pairs)
    return figures


def check_finite(name: str, output: Array) -> None:
    """Check that an output has neither NaN nor infinity."""
    if not np.isfinite(output).all():
        raise ModelError(f"{name}: expected numbers, seen NaN or infinity")


def figures_of(part: Part, reference: Floats) -> Figures:
    """Compare a part of an output, finite, with its reference, and return the worst of all rows and columns."""
    seen, off = part.numbers, np.abs(part.numbers - reference)
    match part.unit:
        case "labels":
            return {"labels_off": float((off > 0).mean((1, 2)).max()), "overlap": _overlap(seen, reference)}
        case "crop":
            return _levels(off)
        case "mask":
            return _levels(off) | {"column_cosine": _column_cosine(part, reference)}
        case "embedding":
            numbers = Part("embedding", _by_number(seen, reference))
            return {
                "cosine": float(cosines(seen, reference).min()),
                "number_cosine": _column_cosine(numbers, _by_number(reference, reference)),
            }
        case "boxes":
            return {"pixels": float(off.max()), "column_cosine": _column_cosine(part, reference)}
        case "points":  # half precision may find one of them in the next of two cells that are all but equal
            cosine = _column_cosine(part, reference)
            return {"pixels": float(off.mean(1).max()), "farthest": float(off.max()), "column_cosine": cosine}
        case "score":
            off /= np.maximum(1, np.abs(reference).max(1, keepdims=True))  # with other weights they may exceed 1
            return {"score": float(off.max()), "column_cosine": _column_cosine(part, reference)}


def cosines(a: Floats, b: Floats) -> Floats:
    """Return the cosine of each row and column over its items: ``2ab / (aa + bb)``, lower if lengths differ."""
    both = (a * a).sum(1) + (b * b).sum(1)
    return np.asarray(np.divide(2 * (a * b).sum(1), both, out=np.ones_like(both), where=both > 0))


def _by_number(embeddings: Floats, reference: Floats) -> Floats:
    """Return embeddings, each divided by the rms of its reference, with their rows as items and numbers as columns."""
    rms = np.sqrt((reference**2).mean(1, keepdims=True))
    return (embeddings / np.where(rms > 0, rms, 1)).transpose(2, 0, 1)


def unseen(reference: Arrays, plan: Plan) -> dict[str, int]:
    """Return how many columns and labels nothing is known of, as the reference has none of them on these inputs."""
    found: dict[str, int] = {}
    for name in plan.outputs:
        for part in parts_of(name, reference[name]):
            numbers = part.numbers
            if part.unit == "embedding":
                numbers = _by_number(numbers, numbers)
            most = np.abs(numbers).max((0, 1))
            if part.unit == "labels":  # pixels of each
                most = np.where((areas := (numbers == np.arange(LABELS)).sum(1).max(0)) < _AREA_AT_LEAST, 0, areas)
            if count := int((most <= _NEGLIGIBLE.get(part.unit, 0)).sum()):
                found[name] = found.get(name, 0) + count
    return found


def _column_cosine(part: Part, reference: Floats) -> float:
    """Return the least cosine of any row's column; one whose greatest difference is negligible counts as equal."""
    is_equal = np.abs(part.numbers - reference).max(1) <= _NEGLIGIBLE[part.unit]
    return float(np.where(is_equal, 1.0, cosines(part.numbers, reference)).min())


def _levels(off: Floats) -> Figures:
    """Return the greatest difference of rows of images, and the least ratio of a row."""
    mean = float((off**2).mean((1, 2)).max())
    psnr_db = min(EQUAL_DB, 10 * math.log10(255**2 / mean)) if mean else EQUAL_DB
    return {"psnr_db": psnr_db, "levels": float(off.max())}


def _overlap(seen: Floats, reference: Floats) -> float:
    """Return the least share of an area of one label, 0..255, that is common to both, over labels and rows."""
    least = 1.0
    for a, b in zip(seen, reference, strict=True):
        pairs = np.bincount((256 * a + b).astype(int).ravel(), minlength=256 * 256).reshape(256, 256)
        common = pairs.diagonal()
        areas = pairs.sum(0) + pairs.sum(1) - common
        shares = common[areas >= _AREA_AT_LEAST] / areas[areas >= _AREA_AT_LEAST]
        least = min(least, float(shares.min(initial=1.0)))
    return least


def worst(figures: Iterable[Figures]) -> Figures:
    """Return the worst value of each figure."""
    found: Figures = {}
    for one in figures:
        found |= {name: _WORST[name](value, found.get(name, value)) for name, value in one.items()}
    return found


def shortfall(figures: Figures, tolerance: Tolerance = SINGLE) -> str:
    """Return the first bound that figures exceed, with the value seen; empty if they are within the tolerance."""
    looser = 1 - _LOOSER * (1 - tolerance.cosine)
    least = {
        "cosine": (tolerance.cosine, "a cosine of {}"),
        "column_cosine": (tolerance.cosine, "a cosine of {} in every column"),
        "number_cosine": (max(looser, _NUMBER_AT_LEAST), "a cosine of {:.4g} in every number of an embedding"),
        "overlap": (_OVERLAP_AT_LEAST, "{} of every label's area in common"),
    }
    for name, (bound, words) in least.items():
        if (value := figures.get(name, 1.0)) < bound:
            return f"expected {words.format(bound)} at least, seen {value:.7f}"
    most = {
        "pixels": (tolerance.pixels, "boxes and points off by {} pixels"),
        "farthest": (_FARTHEST * tolerance.pixels, "every point off by {} pixels"),
        "score": (tolerance.score, "scores off by {}"),
        "levels": (tolerance.levels, "a crop or mask off by {} levels"),
        "labels_off": (tolerance.labels, "a share of {} of the labels off"),
    }
    for name, (bound, words) in most.items():
        if (value := figures.get(name, 0.0)) > bound:
            return f"expected {words.format(bound)} at most, seen {value:.4g}"
    return ""


def coarsen(figures: Figures) -> Figures:
    """Round figures to steps so coarse that all machines agree.

    In single precision a figure becomes the bound that it had to keep. Others could be close to the edge of a step, so
    steps are large: the leading nines of a cosine, five at most as in the bound; 10 dB, up to 50; all else by factors
    of ten. A pixel decides levels and areas of labels, and few rows decide the numbers of an embedding: they are left
    out.
    """
    found: Figures = {}
    for name, value in figures.items():
        if name in ("cosine", "column_cosine"):
            found[name] = max((step for step in _COSINES if step <= value), default=0.0)
        elif name == "psnr_db":
            found[name] = min(_MOST_DB, int(value) // _STEP_DB * _STEP_DB)
        elif name in _STEPS:
            found[name] = min(step for step in _STEPS[name] if step >= value)
    return found
