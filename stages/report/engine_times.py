"""How long each engine of a store takes to open and to run, one picture at a time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from morphstream.machine.probe import probe_machine
from morphstream.session.load import Engines, usable_cores
from morphstream.session.session import Session
from morphstream.store.store import Store

_RUNS = 2
_PICTURE = 4  # axes of a batch of pictures, which are uint8


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTime:
    """What an engine costs on this machine.

    Attributes:
        model: Its name.
        open_ms: Until it is open and has run once.
        run_ms: The quicker of two runs.
    """

    model: str
    open_ms: float
    run_ms: float


def engine_times(folder: Path) -> Iterator[EngineTime]:
    """Yield the times of every engine of a booted store's folder, in the order of its manifest.

    Raises:
        MorphstreamError: An engine can't be opened, or failed.
    """
    with Engines(Store(folder), probe_machine(), threads=usable_cores(), cuda_graph=False) as engines:
        for model in engines.installed.manifest.models:
            start = time.perf_counter()
            session = engines(model)
            opened = time.perf_counter() - start
            yield EngineTime(model=model, open_ms=1000 * opened, run_ms=1000 * min(_run_s(session)))


def _run_s(session: Session) -> Iterator[float]:
    """Yield the seconds of each run."""
    inputs = {
        name: np.zeros([1, *shape[1:]], np.uint8 if len(shape) == _PICTURE else np.float32)
        for name, shape in session.input_shapes.items()
    }
    for _ in range(_RUNS):
        start = time.perf_counter()
        session.run(inputs)
        yield time.perf_counter() - start
