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
    """The cost and the output of a process.

    Attributes:
        seconds: From its start to its end, imports included.
        peak_bytes: Greatest resident memory; at least this process's own, which is kept small.
        output: Its output.
        is_done: It exited with 0.
    """

    seconds: float
    peak_bytes: int
    output: str
    is_done: bool

    @property
    def reason(self) -> str:
        """The last line of its output: the reason, if it failed."""
        return self.output.splitlines()[-1] if self.output else "no reason"


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
        output = process.stdout.read().strip()
        _, status, usage = os.wait4(process.pid, 0)  # the only call that returns this child's own figures
        process.returncode = os.waitstatus_to_exitcode(status)
    kilo = 1 if sys.platform == "darwin" else 1024
    seconds = time.perf_counter() - start
    return Step(seconds=seconds, peak_bytes=usage.ru_maxrss * kilo, output=output, is_done=process.returncode == 0)


def run_stage(
    stage: str, models: Iterable[str], folder: Path, environment: Mapping[str, str]
) -> tuple[dict[str, Step], float]:
    """Run a stage for every model, two in parallel.

    Args:
        stage: Such as ``stages.compile rtx-sm89``; the model's name is appended.
        models: In the order in which they start.
        folder: The working folder, which contains ``build/``.
        environment: Variables in addition to this process's own.

    Returns:
        The step of each model, and the seconds of all together.
    """
    start = time.perf_counter()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        begun = {model: pool.submit(run_step, [*stage.split(), model], folder, environment) for model in models}
        done = {model: step.result() for model, step in begun.items()}
    return done, time.perf_counter() - start
