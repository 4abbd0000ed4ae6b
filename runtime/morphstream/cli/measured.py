"""What frames cost: milliseconds in each step and in its engines, frames a second, memory."""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from morphstream.face.geometry import ARCFACE_128
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame, Timed
from morphstream.machine.gpus import Gpu, read_gpus
from morphstream.pipeline import SwapPipeline
from morphstream.session.load import Engines
from morphstream.session.session import Array, Session
from morphstream.stream.run import run

_BEFORE = 3  # frames that aren't counted
_STATUS = Path("/proc/self/status")
_FACE = 0.4  # of the frame's shorter side
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
class Step:
    """What a step costs: all of it, what its engines take of it, and what is left for the host's own work."""

    whole: Times
    engines: Times
    host: Times


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a model's engine costs: how often it ran, and each run."""

    runs: int
    each: Times


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What frames cost.

    Attributes:
        size_wh: Of a frame, pixels.
        faces: In it.
        frames: That were measured one by one, and as many in threads.
        opened_s: Until the engines were open and warm.
        steps: ``find``, ``swap`` and ``both``, one frame at a time.
        engines: By model, meanwhile.
        fps_in_threads: Frames a second where each step has a thread of its own.
        opened_bytes: Memory of this process when the engines were open; None where the system doesn't say.
        most_bytes: The most until now.
        gpu_bytes: How much more of the GPUs' memory is in use than before.
    """

    size_wh: tuple[int, int]
    faces: int
    frames: int
    opened_s: float
    steps: Mapping[str, Step]
    engines: Mapping[str, Engine]
    fps_in_threads: float
    opened_bytes: int | None
    most_bytes: int | None
    gpu_bytes: int | None

    def lines(self) -> list[str]:
        """Return them as tables, in milliseconds."""
        width, height = self.size_wh
        one, faces = 1000 / self.steps["both"].whole.median_ms, "1 face" if self.faces == 1 else f"{self.faces} faces"
        memory = f"{_mib(self.opened_bytes)} when open, {_mib(self.most_bytes)} at most"
        return [
            f"opened in {self.opened_s:.2f} s; {self.frames} frames of {width}x{height} with {faces}, milliseconds:",
            _row("step", "median", "95 %", "99 %", "most", "engines", "host"),
            *(
                _row(name, *astuple(step.whole), step.engines.median_ms, step.host.median_ms)
                for name, step in self.steps.items()
            ),
            _row("engine", "median", "95 %", "99 %", "most", "runs"),
            *(_row(name, *astuple(engine.each), str(engine.runs)) for name, engine in self.engines.items()),
            f"frames a second: {one:.1f} one by one, {self.fps_in_threads:.1f} with a thread for each step",
            f"memory: {memory}; of GPUs: {_mib(self.gpu_bytes)}",
        ]


def _row(name: str, *cells: float | str) -> str:
    return f"{name:20}" + "".join(f"{cell:>9}" if isinstance(cell, str) else f"{cell:9.2f}" for cell in cells)


def _mib(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 2**20:.0f} MiB"


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
    """Return engines as a pipeline opens them, and where the time of each run is noted."""
    spent: Spent = defaultdict(list)

    class TimedEngines(Engines):
        def __call__(self, model: str) -> Session:
            return TimedSession(super().__call__(model), spent[model])

    return TimedEngines, spent


def made_up_frame(width: int, height: int) -> Frame:
    """Return a frame of soft colours and noise, the same each time; ``(height, width, 3)`` BGR."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (-(-height // 16), -(-width // 16), 3)).repeat(16, 0).repeat(16, 1)
    noisy: Frame = np.clip(coarse[:height, :width] + random.integers(-20, 21, (height, width, 3)), 0, 255).astype(
        np.uint8
    )
    return noisy


def made_up_faces(frame: Frame, count: int) -> list[Face]:
    """Return upright faces side by side in a frame; the engines take as long for them as for real ones."""
    height, width = frame.shape[:2]
    side, faces = min(_FACE * min(height, width), width / count), list[Face]()
    for place in range(count):
        left, top = (place + 0.5) * width / count - side / 2, height / 2 - side / 2
        box = np.array([left, top, left + side, top + side])
        faces.append(Face(box_xyxy=box, points5=(ARCFACE_128 - 0.5) * side + box.reshape(2, 2).mean(0), score=1.0))
    return faces


def _nobody() -> Identity:
    """Return the identity of somebody who doesn't exist, the same each time."""
    numbers = np.random.default_rng(0).standard_normal(512)
    return Identity(embedding=numbers / np.linalg.norm(numbers))


class Bench:
    """Measures a pipeline whose engines are timed."""

    def __init__(self, pipeline: SwapPipeline, spent: Spent, *, opened_s: float, gpus: Sequence[Gpu]) -> None:
        """Note what opening cost.

        Args:
            pipeline: With engines of `timed_engines`.
            spent: Theirs.
            opened_s: How long it took to open.
            gpus: As they were before.
        """
        self._pipeline, self._spent, self._gpus = pipeline, spent, gpus
        self._opened_s, self._opened_bytes = opened_s, _memory_bytes()["VmRSS"]

    def measure(self, frame: Frame, faces: Sequence[Face], count: int) -> Measured:
        """Swap faces of a frame so many times, one by one and then in threads."""
        for runs in self._spent.values():
            runs.clear()
        steps = self._steps(faces)
        found = self._one_by_one(steps, frame, count)
        engines = {name: Engine(runs=len(runs), each=Times.of(runs)) for name, runs in self._spent.items() if runs}
        start = time.perf_counter()
        run(_Again(frame, count), steps, _Nowhere())
        return Measured(
            size_wh=(frame.shape[1], frame.shape[0]),
            faces=len(faces),
            frames=count,
            opened_s=round(self._opened_s, 3),
            steps=found,
            engines=engines,
            fps_in_threads=round(count / (time.perf_counter() - start), 2),
            opened_bytes=self._opened_bytes,
            most_bytes=_memory_bytes()["VmHWM"],
            gpu_bytes=_gpu_bytes(self._gpus, read_gpus()),
        )

    def _steps(self, faces: Sequence[Face]) -> tuple[Callable[[Frame], FoundFaces], Callable[[FoundFaces], Frame]]:
        """Return the steps: a frame is looked at once, and whatever is found, these faces are swapped."""
        look, assignment = replace(self._pipeline.look, angles=()), dict.fromkeys(range(len(faces)), _nobody())

        def find(frame: Frame) -> FoundFaces:
            self._pipeline.analyser.find(frame, look)
            return FoundFaces(frame=frame, faces=faces, assignment=assignment)

        return find, partial(self._pipeline.swapper.swap, look=look)

    def _one_by_one(
        self, steps: tuple[Callable[[Frame], FoundFaces], Callable[[FoundFaces], Frame]], frame: Frame, count: int
    ) -> dict[str, Step]:
        find, swap = steps
        rows = list[tuple[float, ...]]()
        for number in range(_BEFORE + count):
            if number == _BEFORE:
                for runs in self._spent.values():
                    runs.clear()
            clock, engines = [time.perf_counter()], [self._engines_s()]
            found = find(frame)
            clock.append(time.perf_counter())
            engines.append(self._engines_s())
            swap(found)
            clock.append(time.perf_counter())
            engines.append(self._engines_s())
            rows.append((*np.diff(clock), clock[2] - clock[0], *np.diff(engines), engines[2] - engines[0]))
        columns = np.array(rows[_BEFORE:]).T
        return {
            name: Step(whole=Times.of(whole), engines=Times.of(engines), host=Times.of(whole - engines))
            for name, whole, engines in zip(("find", "swap", "both"), columns[:3], columns[3:], strict=True)
        }

    def _engines_s(self) -> float:
        return sum(map(sum, self._spent.values()))


def _memory_bytes() -> Mapping[str, int | None]:
    """Return what Linux says of this process's memory, by the names in its ``status``; None on other systems."""
    try:
        found = re.findall(r"^(VmRSS|VmHWM):\s*(\d+) kB$", _STATUS.read_text("ascii"), re.MULTILINE)
    except (OSError, ValueError):
        found = []
    return {"VmRSS": None, "VmHWM": None} | {name: int(kib) << 10 for name, kib in found}


def _gpu_bytes(before: Sequence[Gpu], after: Sequence[Gpu]) -> int | None:
    """Return how much more of the GPUs' memory is in use; None where there is none, or the driver doesn't say."""
    used = [(one.used_bytes, two.used_bytes) for one, two in zip(before, after, strict=False)]
    known = [two - one for one, two in used if one is not None and two is not None]
    return sum(known) if known else None


class _Again:
    """A source of the same frame."""

    def __init__(self, frame: Frame, count: int) -> None:
        self._frames = (Timed(value=frame, index=index, time=Fraction(index, 25)) for index in range(count))

    def read(self) -> Timed[Frame] | None:
        """Return it once more."""
        return next(self._frames, None)


class _Nowhere:
    """A sink that keeps nothing."""

    def write(self, frame: Timed[Frame]) -> None:
        """Forget a frame."""
