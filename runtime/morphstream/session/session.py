"""What an opened engine is to the code that runs it."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy.typing as npt

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
