"""The only code that decides engine bytes, a file a builder.

A builder turns a prepared model into the files of one engine, in a folder of its own. ``openvino`` and
``tensorrt_rtx`` write the same bytes every time; ``tensorrt`` measures kernels on its GPU, and does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Options = Mapping[str, str | int | bool]
Half = Literal["never", "file", "flag"]
Shapes = Mapping[str, tuple[tuple[int, ...], ...]]
Sizes = tuple[Mapping[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output of a prepared model: its name, NumPy's name of its type, and its shape (-1 is dynamic)."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a builder is to build.

    Attributes:
        model: The prepared ONNX file.
        archs: What the engine runs on: one, or those of a portable engine.
        precision: The numbers it may calculate with: ``fp32``, ``fp16``, or ``bf16`` on CPUs.
        inputs: Of the model.
        outputs: The same.
        shapes: The shape of each input at each batch that the engine is for, the least first, then of one row at each
            further size.
        stem: What the names of the engine's files begin with.
        folder: Where they are written; exists and is empty.
        shared: Where the builder may keep what helps it build other models for the same target.
        sizes: The shapes of a row of each input and output, of each size where there are several: the first is that of
            all batches.
    """

    model: Path
    archs: tuple[str, ...]
    precision: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    shapes: Shapes
    stem: str
    folder: Path
    shared: Path
    sizes: Sizes = ()


class Builder(Protocol):
    """A module of this package.

    Attributes:
        OPTIONS: Every option that decides engine bytes.
        HALF: Whether half precision is ``never`` used, is that of the prepared ``file``, or is allowed by a ``flag``.
    """

    OPTIONS: Options
    HALF: Half

    def versions(self) -> dict[str, str | None]:
        """Return the exact version of each library that decides engine bytes; None where it isn't installed."""
        ...

    def build(self, order: Order) -> dict[str, str]:
        """Write an engine and return the kind of each file.

        Raises:
            ModelError: The builder refuses the model.
            NoEngineError: The machine can't build it.
            OSError: A file can't be written.
        """
        ...
