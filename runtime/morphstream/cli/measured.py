"""What frames cost: milliseconds in each step and in its engines, frames a second, memory."""

import re
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from morphstream.cli.timed import Engine, Spent, Times, take_engines
from morphstream.face.geometry import ARCFACE_128
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame, Timed
from morphstream.machine.gpus import Gpu, read_gpus
from morphstream.pipeline import SwapPipeline
from morphstream.source.progress import show_line
from morphstream.stream.run import IterableSource, flow

if TYPE_CHECKING:
    from morphstream.media.video.report import Progress

_BEFORE = 3  # frames that aren't counted
_STATUS = Path("/proc/self/status")
_ANY_SOUND = "out.mkv"  # holds any sound and subtitles
_QUANTILES = ("median", "95 %", "99 %", "most")
_FACE = 0.4  # of the frame's shorter side


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a step costs: all of it, what its engines take of it, and what is left for the host's own work."""

    whole: Times
    engines: Times
    host: Times


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
            "",
            f"opened in {self.opened_s:.2f} s; {self.frames} frames of {width}x{height} with {faces}, milliseconds:",
            _row("step", *_QUANTILES, "engines", "host"),
            *(
                _row(name, *astuple(step.whole), step.engines.median_ms, step.host.median_ms)
                for name, step in self.steps.items()
            ),
            _row("engine", *_QUANTILES, "runs"),
            *(_row(name, *astuple(engine.each), str(engine.runs)) for name, engine in self.engines.items()),
            f"frames a second: {one:.1f} one by one, {self.fps_in_threads:.1f} with a thread for each step",
            f"memory: {memory}; of GPUs: {_mib(self.gpu_bytes)}",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """What the swap of a whole video cost, with reading and writing it.

    Attributes:
        frames: Of it.
        seconds: For all of them.
        between: From one written frame to the next.
        engines: By model, side by side in two threads.
        encoder: With its settings, in words.
        most_bytes: Memory of this process at most, until now; None where the system doesn't say.
    """

    frames: int
    seconds: float
    between: Times
    engines: Mapping[str, Engine]
    encoder: str
    most_bytes: int | None

    def lines(self) -> list[str]:
        """Return it as a table, in milliseconds."""
        fps = self.frames / self.seconds
        return [
            "",
            f"the whole video: {self.frames} frames in {self.seconds:.2f} s, {fps:.1f} a second, with {self.encoder}",
            _row("", *_QUANTILES, "runs"),
            _row("from frame to frame", *astuple(self.between)),
            *(_row(name, *astuple(engine.each), str(engine.runs)) for name, engine in self.engines.items()),
            f"memory: {_mib(self.most_bytes)} at most",
        ]


def _row(name: str, *cells: float | str) -> str:
    return f"{name:20}" + "".join(f"{cell:>9}" if isinstance(cell, str) else f"{cell:9.2f}" for cell in cells)


def _mib(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 2**20:.0f} MiB"


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
        steps = self._steps(faces)
        found = self._one_by_one(steps, frame, count)
        engines = take_engines(self._spent)
        again = (Timed(value=frame, index=index, time=Fraction(index, 25)) for index in range(count))
        start = time.perf_counter()
        deque(flow(IterableSource(again), steps), maxlen=0)
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

    def swap_clip(self, path: Path, max_pixels: int) -> Clip:
        """Swap every face of a video, and write it into a folder that is removed; errors as of `SwapPipeline.video`."""
        from morphstream.media.video.swap_video import VideoOptions  # PyAV is an extra

        times = list[float]()

        def note(progress: "Progress") -> None:
            times.append(time.perf_counter())
            show_line(f"{path}: {progress.frames} frames")

        take_engines(self._spent)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            output, options = Path(folder) / _ANY_SOUND, VideoOptions(max_pixels=max_pixels)
            report = self._pipeline.video(path, output, _nobody(), options=options, progress=note)
            seconds = time.perf_counter() - start
        show_line("")
        return Clip(
            frames=report.frames,
            seconds=round(seconds, 3),
            between=Times.of(np.diff(times) if len(times) > 1 else [seconds]),
            engines=take_engines(self._spent),
            encoder=report.encoder,
            most_bytes=_memory_bytes()["VmHWM"],
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
                take_engines(self._spent)
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
