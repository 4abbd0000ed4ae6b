"""The recipe of an engine: sha256 over everything that decides its bytes.

A digest says what bytes are; a recipe says what they were made of. Two engines of one recipe are interchangeable
even where a builder's bytes vary. Never compare one with the other.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from morphstream.artifact.digest import Digest
from morphstream.artifact.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides an engine's bytes.

    Attributes:
        model: Digest of the prepared model, with its external data.
        target: Arch, builder and exact toolchain.
        options: Every option the builder is called with.
        shapes: The shape of each input at each batch that the engine is for.
        builder_source: sha256 of the builder's source.
    """

    model: Digest
    target: Target
    options: Mapping[str, str | int | bool]
    shapes: Mapping[str, tuple[tuple[int, ...], ...]]
    builder_source: str

    @property
    def sha256(self) -> str:
        """The recipe as 64 hexadecimal digits."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def prefix(self) -> str:
        """What the names of the engine's files begin with."""
        return self.sha256[:16]
