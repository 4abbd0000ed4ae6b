"""Engines whose runs are timed, and what their times are at quantiles."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from morphstream.session.load import Engines
from morphstream.session.session import Array, Session

Spent = Mapping[str, list[float]]  # seconds of each run of a model's engine, by its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long the same took, each time it was done: milliseconds at quantiles, rounded to microseconds."""

    median_ms: float
    p95_ms: float
    p99_ms: float
    most_ms: float

    @classmethod
    def of(cls, seconds: npt.ArrayLike) -> Self:
        """Return the quantiles of one time or more."""
        found = np.quantile(1000 * np.asarray(seconds), (0.5, 0.95, 0.99, 1)).round(3).tolist()
        return cls(median_ms=found[0], p95_ms=found[1], p99_ms=found[2], most_ms=found[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a model's engine costs: how often it ran, and each run."""

    runs: int
    each: Times


def take_engines(spent: Spent) -> dict[str, Engine]:
    """Return what each engine that ran has cost so far, and forget it."""
    found = {name: Engine(runs=len(runs), each=Times.of(runs)) for name, runs in spent.items() if runs}
    for runs in spent.values():
        runs.clear()
    return found


class TimedSession:
    """An engine whose runs are timed."""

    def __init__(self, session: Session, spent: list[float]) -> None:
        self._session, self._spent = session, spent

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """As the engine has it."""
        return self._session.input_shapes

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """As the engine has it."""
        return self._session.sizes

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run the engine."""
        start = time.perf_counter()
        outputs = self._session.run(inputs)
        self._spent.append(time.perf_counter() - start)
        return outputs

    def close(self) -> None:
        """Release the engine."""
        self._session.close()


def timed_engines() -> tuple[type[Engines], Spent]:
    """Return engines as a pipeline opens them, and where the seconds of each run are noted, by model."""
    spent: Spent = defaultdict(list)

    class TimedEngines(Engines):
        def __call__(self, model: str) -> Session:
            return TimedSession(super().__call__(model), spent[model])

    return TimedEngines, spent
