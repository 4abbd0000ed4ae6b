"""The repository of the Hub that params.yaml names, and its pinned revision."""

from dataclasses import dataclass
from typing import Annotated

from morphstream.artifact.fields import check
from stages.bounds import COMMIT, REPOSITORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Where pinned models come from with ``origin: hub``."""

    repo: Annotated[str, REPOSITORY]
    revision: Annotated[str, COMMIT] | None

    def __post_init__(self) -> None:
        check(self)
