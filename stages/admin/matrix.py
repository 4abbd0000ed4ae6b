"""The matrix of models and targets: which engines are built, stale and why, or missing, and what is known of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["built", "stale", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A model's engine for a target.

    Attributes:
        name: ``TARGET/MODEL``, as commands take it.
        why: Why it is stale or missing, in words; none where it is built.
        bytes: Of its files together; None where there are none.
        sha256: Of each of its files, by name.
        recipe: Of what it was made; None where that isn't recorded.
        parity: Its figures against the original model, in a few words; empty where it was never executed.
        is_executed: Whether it was ever executed on this machine or where it was locked; None where nothing is
            recorded of that.
        why_not_executed: Why it wasn't, in words.
        build_s: How long it took to build it; None where that isn't known.
        job: Number of the job that waits or runs for it; None for none.
    """

    name: str
    target: str
    model: str
    group: str
    state: State
    why: Sequence[str] = ()
    bytes: int | None = None
    sha256: Mapping[str, str]
    recipe: str | None = None
    parity: str = ""
    is_executed: bool | None = None
    why_not_executed: str = ""
    build_s: float | None = None
    job: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A model, and its engine for each target in the order of the columns.

    Attributes:
        bytes: Of its ONNX file; None where that isn't here.
    """

    model: str
    group: str
    role: str
    licence: str
    origin: str
    bytes: int | None
    sha256: str | None
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A target.

    Attributes:
        built_here: Whether this machine can build for it; else ``why_not`` says what it lacks.
    """

    target: str
    cache_key: str
    builder: str
    arch: str
    built_here: bool
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All models and all targets.

    Attributes:
        stale: Other stages that are stale, by name, each with its reasons.
        is_checked: Whether stages were compared with what is locked since the last change; until then cells are as
            they were before, or as manifests have them.
        refusal: Why that can't be looked at, in one line; empty where it can.
    """

    rows: Sequence[Row]
    columns: Sequence[Column]
    stale: Mapping[str, Sequence[str]]
    is_checked: bool
    refusal: str = ""

    @property
    def groups(self) -> dict[str, list[Row]]:
        """The rows of each group, in the order of params.yaml."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.group, []).append(row)
        return found
