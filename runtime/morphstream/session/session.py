"""What an opened engine is to the code that runs it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from morphstream.artifact.errors import SessionError

Array = npt.NDArray[Any]  # the engine decides


class Session(Protocol):
    """An opened engine of one model; not to be shared between threads."""

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 where an axis is dynamic."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name; the arrays may be overwritten by the next run.

        Raises:
            SessionError: The engine failed, or an output has a number that is none.
        """
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...


class Part(NamedTuple):
    """Rows of a request that run at once, filled up to a batch of ``size``."""

    start: int
    stop: int
    size: int


def parts(rows: int, batches: Sequence[int]) -> list[Part]:
    """Split a request into batches that an engine is for: the greatest, and for the rest the least that holds it.

    Args:
        rows: Of the request, 0 or more.
        batches: Their sizes, in any order; empty where any is, and all rows run at once.

    Raises:
        ValueError: A number is below 0, or a size below 1.
    """
    if rows < 0 or min(batches, default=1) < 1:
        raise ValueError(f"expected 0 rows or more in batches of 1 or more, seen {rows} in {list(batches)}")
    sizes, found, start = sorted(batches) or [rows], list[Part](), 0
    while start < rows:
        size = next((size for size in sizes if size >= rows - start), sizes[-1])
        stop = min(start + size, rows)
        found.append(Part(start, stop, size))
        start = stop
    return found


def check_numbers(name_of_engine: str, outputs: Mapping[str, Array]) -> None:
    """Check that outputs hold numbers, by their least and greatest: NaN is both.

    Raises:
        SessionError: One has NaN or infinity; names it.
    """
    for name, array in outputs.items():
        if array.dtype.kind == "f" and array.size and not np.isfinite([array.min(), array.max()]).all():
            raise SessionError(f"{name_of_engine}: expected numbers in {name}, seen NaN or infinity")
