"""The protocol of an opened engine, the batches that a request is split into, and the check of its numbers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from morphstream.artifact.errors import SessionError

Array = npt.NDArray[Any]  # the engine decides
Sizes = Sequence[Mapping[str, tuple[int, ...]]]  # the shapes of a row at each size, by name; the first is the usual


class Session(Protocol):
    """An opened engine of one model, for one thread at a time."""

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 where an axis is dynamic."""
        ...

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Width and height of further images that it takes, one at a time, besides those of `input_shapes`."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name, with a row for each of the inputs'; the next run may overwrite the arrays.

        Args:
            inputs: Each ``(N, ...)``, of the engine's types; not modified.

        Raises:
            SessionError: The inputs are not the engine's, it failed, or an output has NaN or infinity.
        """
        ...

    def close(self) -> None:
        """Release the engine."""
        ...


class Part(NamedTuple):
    """Rows of a request that run at once, padded to a batch of ``size``."""

    start: int
    stop: int
    size: int


def parts(rows: int, batches: Sequence[int]) -> list[Part]:
    """Split a request into batches of an engine: the largest ones, and for the rest the smallest that holds it.

    Args:
        rows: Rows of the request, 0 or more.
        batches: Sizes of the engine's batches, in any order; empty where it runs any number of rows at once.

    Raises:
        ValueError: A number is below 0, or a size below 1.
    """
    if rows < 0 or min(batches, default=1) < 1:
        raise ValueError(f"expected 0 rows or more in batches of 1 or more, seen {rows} in {list(batches)}")
    sizes, found, start = sorted(batches) or [rows], list[Part](), 0
    while start < rows:
        size = next((size for size in sizes if size >= rows - start), sizes[-1])
        found.append(Part(start, min(start + size, rows), size))
        start += size
    return found


def read_sizes(text: str) -> Sizes:
    """Read the shapes of a row of each input and output, by name, of each size that an engine is for.

    Raises:
        ValueError: It is none.
    """
    try:
        sizes = [{str(name): tuple(map(int, shape)) for name, shape in size.items()} for size in json.loads(text)]
    except (AttributeError, TypeError) as error:
        raise ValueError(f"expected shapes by name, seen {error}") from None
    return sizes


def further_sizes(sizes: Sizes, name: str) -> list[tuple[int, int]]:
    """Return width and height of an input's images ``(H, W, 3)`` at each size but the first."""
    return [(size[name][1], size[name][0]) for size in sizes[1:]]


def check_numbers(name_of_engine: str, outputs: Mapping[str, Array]) -> None:
    """Refuse outputs with NaN or infinity, by their minimum and maximum: one NaN makes both NaN."""
    for name, array in outputs.items():
        if array.dtype.kind == "f" and array.size and not np.isfinite([array.min(), array.max()]).all():
            raise SessionError(f"{name_of_engine}: expected numbers in {name}, seen NaN or infinity")
