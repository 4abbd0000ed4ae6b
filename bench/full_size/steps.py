"""Run stages as the pipeline does, a process each, and measure each process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SIDE_BY_SIDE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a process took.

    Attributes:
        seconds: From its start to its end, imports included.
        peak_bytes: Greatest resident memory; begins at this process's own, which is kept small.
        said: What it printed.
        is_done: It exited 0.
    """

    seconds: float
    peak_bytes: int
    said: str
    is_done: bool

    @property
    def reason(self) -> str:
        """The last line of what it printed: why, where it failed."""
        return self.said.splitlines()[-1] if self.said else "no reason"


def run_step(arguments: Iterable[str], folder: Path, environment: Mapping[str, str]) -> Step:
    """Run ``python -m ARGUMENTS`` in a folder and wait for it."""
    paths = os.pathsep.join(str(path) for path in (ROOT, ROOT / "runtime"))
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert process.stdout is not None
        said = process.stdout.read().strip()
        _, status, usage = os.wait4(process.pid, 0)  # this child's own figures, as no other call gives
        process.returncode = os.waitstatus_to_exitcode(status)
    kilo = 1 if sys.platform == "darwin" else 1024
    seconds = time.perf_counter() - start
    return Step(seconds=seconds, peak_bytes=usage.ru_maxrss * kilo, said=said, is_done=process.returncode == 0)


def run_stage(
    stage: str, models: Iterable[str], folder: Path, environment: Mapping[str, str]
) -> tuple[dict[str, Step], float]:
    """Run a stage for every model, two side by side; return what each took, and all of them together.

    Args:
        stage: Such as ``stages.compile rtx-sm89``; the model's name follows.
        models: In the order in which they are begun.
        folder: Where the stage finds and writes ``build/``.
        environment: Beside this process's own.
    """
    start = time.perf_counter()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        begun = {model: pool.submit(run_step, [*stage.split(), model], folder, environment) for model in models}
        done = {model: step.result() for model, step in begun.items()}
    return done, time.perf_counter() - start
