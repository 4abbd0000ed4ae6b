"""How far outputs may be from their reference, in the unit of what their numbers mean."""

from dataclasses import dataclass

from morphstream.artifact.errors import ManifestError
from morphstream.artifact.fields import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Bounds of a comparison; one that is left out is that of single precision.

    Attributes:
        cosine: Least cosine of each column of numbers, and of an embedding.
        levels: Greatest difference of a crop or a mask, in levels of 255.
        pixels: Greatest difference of a box or a point, in pixels of the model's input.
        score: Greatest difference of a score or a point's confidence, in 0..1; as a share of greater ones.
        labels: Greatest share of labels that differ, as they do where two logits are all but equal.
    """

    cosine: float = 0.99999
    levels: int = 1
    pixels: float = 0.05
    score: float = 0.001
    labels: float = 0.0001

    def __post_init__(self) -> None:
        if not _COSINE_AT_LEAST <= self.cosine <= 1:  # NaN is in no range
            raise ManifestError("cosine", f"expected {_COSINE_AT_LEAST} to 1, seen {shown(self.cosine)}")
        for key, most in _AT_MOST.items():
            if not 0 <= (value := getattr(self, key)) <= most:
                raise ManifestError(key, f"expected 0 to {most}, seen {shown(value)}")


# Beyond half of a range, or a cell of the coarsest stride, an output passes that has nothing of its reference.
_COSINE_AT_LEAST = 0.5
_AT_MOST = {"levels": 127, "pixels": 32.0, "score": 0.5, "labels": 0.5}

SINGLE = Tolerance()  # in single precision; one level is rounding
