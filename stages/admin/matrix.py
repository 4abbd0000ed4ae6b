"""The matrix of models and targets: which engines are built, stale and why, or missing, and what is known of each."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from morphstream.artifact.digest import Digest

State = Literal["built", "stale", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A model's engine for a target.

    Attributes:
        why: Why it is stale or missing, in words; none where it is built.
        files: The digest of each of its files, by name; none where it is missing.
        recipe: Of what it was made; None where it is missing.
        parity: Its figures against the original model, in a few words; empty where it was never executed.
        is_executed: Whether it was executed where it was last checked; None where it never was checked.
        why_not_executed: Why it wasn't, in words.
        build_s: How long this machine built it for; None where it didn't.
        job: Number of the job that waits or runs for it; None for none.
    """

    target: str
    model: str
    group: str
    state: State
    why: Sequence[str] = ()
    files: Mapping[str, Digest]
    recipe: str | None = None
    parity: str = ""
    is_executed: bool | None = None
    why_not_executed: str = ""
    build_s: float | None = None
    job: int | None = None

    @property
    def name(self) -> str:
        """What commands call it, ``TARGET/MODEL``."""
        return f"{self.target}/{self.model}"

    @property
    def bytes(self) -> int | None:
        """Of its files together; None where there are none."""
        return sum(digest.bytes for digest in self.files.values()) or None

    @property
    def sha256(self) -> dict[str, str]:
        """Of each of its files, by name."""
        return {name: digest.sha256 for name, digest in self.files.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A model, and its engine for each target in the order of the columns.

    Attributes:
        file: Digest of its ONNX file, as it is pinned; None where it has no pin.
    """

    model: str
    group: str
    role: str
    licence: str
    origin: str
    file: Digest | None
    cells: Sequence[Cell]

    @property
    def bytes(self) -> int | None:
        """Of its ONNX file."""
        return self.file.bytes if self.file else None

    @property
    def sha256(self) -> str | None:
        """Of its ONNX file."""
        return self.file.sha256 if self.file else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A target.

    Attributes:
        why_not: What this machine lacks to build for it, in words; empty where it can.
        why: Why its index or its archive is stale, in words.
    """

    target: str
    cache_key: str
    builder: str
    arch: str
    why_not: str = ""
    why: Sequence[str] = ()

    @property
    def built_here(self) -> bool:
        """Whether this machine can build for it."""
        return not self.why_not


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All models and all targets.

    Attributes:
        stale: Other stages that are stale, by name, each with its reasons.
        is_checked: Whether stages were compared with what is locked since the last change; until then cells are as
            they were before, or as they are there.
        refusal: Why it can't be read anew, in one line; empty where it can.
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

    @property
    def cells(self) -> dict[str, Cell]:
        """Every cell, by its name."""
        return {cell.name: cell for row in self.rows for cell in row.cells}

    def with_jobs(self, jobs: Mapping[str, int]) -> "Matrix":
        """Return it with the numbers of jobs in the cells that they are about, by the cells' names."""
        rows = [replace(row, cells=[replace(cell, job=jobs.get(cell.name)) for cell in row.cells]) for row in self.rows]
        return replace(self, rows=rows)


def reasons_of_cell(why: Sequence[str], target: str, targets: Collection[str]) -> list[str]:
    """Return why one target's engine is stale, of the reasons of a stage that may make several targets' engines.

    Args:
        why: The stage's reasons; one of a single target begins with its name and a colon.
        target: The one.
        targets: All.
    """
    others = tuple(f"{name}: " for name in targets if name != target)
    return [reason.removeprefix(f"{target}: ") for reason in why if not reason.startswith(others)]
