"""The only code that decides engine bytes, a file a builder.

A builder turns a prepared model into the files of one engine, in a folder of its own, the same bytes every time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Options = Mapping[str, str | int | bool]
Shapes = Mapping[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a builder is asked for.

    Attributes:
        model: The prepared ONNX file.
        arch: What the engine runs on.
        shapes: Least, usual and greatest shape of each input.
        stem: What the names of the engine's files begin with.
        folder: Where they are written; exists and is empty.
    """

    model: Path
    arch: str
    shapes: Shapes
    stem: str
    folder: Path


class Builder(Protocol):
    """A module of this package."""

    OPTIONS: Options

    def versions(self) -> dict[str, str | None]:
        """Return the exact version of each library that decides engine bytes; None where it isn't installed."""
        ...

    def build(self, order: Order) -> dict[str, str]:
        """Write an engine and return the kind of each file.

        Raises:
            ModelError: The builder can't take the model.
            OSError: A file can't be written.
        """
        ...
