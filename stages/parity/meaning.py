"""What the numbers of each output mean: the unit that they are compared in, and its columns.

A prepared model's outputs have the same names for every file of a role (`stages.surgery.plan`). Numbers of different
meaning are never compared as one, because a coordinate of hundreds of pixels hides a score.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from morphstream.session.session import Array

Unit = Literal["boxes", "points", "score", "mask", "embedding", "crop", "labels"]
Floats = npt.NDArray[np.float64]

_CELL = 4  # pixels of a cell of 2dfan4's grid, 64 of 256
_SIDE = 512  # pixels of the crop, template ffhq_512, whose fractions are fan_68_5's points
_BOX = 4  # rows of a person's box; the others are scores


@dataclass(frozen=True, slots=True)
class Part:
    """Numbers of an output that mean the same.

    Attributes:
        unit: What they are: pixels of the model's input (boxes, points), scores of 0..1, levels of 255 (mask, crop),
            labels, or numbers whose direction alone counts (embedding).
        numbers: ``(rows, items, columns)``, in that unit.
    """

    unit: Unit
    numbers: Floats


def parts_of(name: str, output: Array) -> list[Part]:
    """Split an output of a prepared model, of any number of rows, by what its numbers mean."""
    numbers = output.astype(np.float64)
    kind, _, stride = name.partition("_")
    match kind:
        case "score":
            return [Part("score", numbers)]
        case "bbox" | "kps":  # distances in strides
            return [Part("boxes", numbers * int(stride))]
        case "persons":  # a column of the file is an item here
            numbers = numbers.swapaxes(1, 2)
            return [Part("boxes", numbers[..., :_BOX]), Part("score", numbers[..., _BOX:])]
        case "points68" if numbers.shape[-1] == 2:  # x and y
            return [Part("points", numbers * _SIDE)]
        case "points68":
            return [Part("points", numbers[..., :2] * _CELL), Part("score", numbers[..., 2:])]
        case "embedding":
            return [Part("embedding", numbers[..., None])]
        case "mask":
            return [Part("mask", _flat(numbers) * 255)]
        case "swapped":
            return [Part("crop", _flat(numbers))]
        case "labels":
            return [Part("labels", numbers.reshape(len(numbers), -1, 1))]
    raise ValueError(f"expected the name of an output that has a meaning, seen {name}")


def _flat(images: Floats) -> Floats:
    """Return images ``(rows, height, width, channels)`` with all pixels in one axis."""
    return images.reshape(len(images), -1, images.shape[-1])
