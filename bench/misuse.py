"""Misuse swappers: kill, fork, call from two threads, close; each at random moments of their use.

Promised: 50 trials of each; a call gives the frame that it gives alone, or refuses in words at once; none takes longer
than `LONGEST_S`, and the next swapper works.
"""

import argparse
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

import morphstream
from morphstream.artifact.errors import UseError
from morphstream.face.types import Identity
from morphstream.frame import Frame
from morphstream.pipeline import SwapPipeline

LONGEST_S = 5.0


class Trials:
    """The frame that a swap gives alone, and how each call of a trial ended."""

    def __init__(self, store: str, source: Frame, target: Frame) -> None:
        self.store, self.target, self.ends = store, target, Counter[str]()
        with morphstream.open(store) as swap:
            self.identity: Identity = swap.identify(source)
            self.expected = swap(target, self.identity)

    def call(self, swap: SwapPipeline) -> str:
        """Return how a call ended."""
        try:
            frame = swap(self.target, self.identity)
        except UseError:
            return "refused"
        return "right" if np.array_equal(frame, self.expected) else "WRONG FRAME"

    def kill(self, moments: random.Random) -> None:
        """Kill a process in its use."""
        if (child := os.fork()) == 0:
            with morphstream.open(self.store) as swap:
                while True:
                    self.call(swap)
        time.sleep(moments.uniform(0, 1.5))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with morphstream.open(self.store) as swap:
            self.ends[f"kill: the next is {self.call(swap)}"] += 1

    def fork(self, moments: random.Random) -> None:
        """Fork while another thread swaps; the child calls, closes or opens its own, and ends either way."""
        with morphstream.open(self.store) as swap:
            thread = threading.Thread(target=self.call, args=(swap,))
            thread.start()
            time.sleep(moments.uniform(0, 0.3))
            does, ends_by = moments.choice(("calls", "closes", "opens")), moments.choice((sys.exit, os._exit))
            if (child := os.fork()) == 0:
                swap.close() if does == "closes" else None
                if does == "opens":
                    with morphstream.open(self.store) as own:
                        ends_by(self.call(own) != "right")
                ends_by(self.call(swap) != "refused")
            status = _code_of(child)
            self.ends[f"fork: the child {does}: {f'WRONG STATUS {status}' if status else 'as promised'}"] += 1
            thread.join()
            self.ends[f"fork: the parent is {self.call(swap)}"] += 1

    def thread(self, moments: random.Random) -> None:
        """Call from several threads at once, a session too."""
        with morphstream.open(self.store) as swap:
            run = lambda: self.ends.update([f"thread: {self.call(swap)}"])  # noqa: E731
            threads = [threading.Thread(target=run) for _ in range(moments.randint(2, 5))]
            for one in threads:
                one.start()
            for one in threads:
                one.join()

    def close(self, moments: random.Random) -> None:
        """Close while another thread swaps, and call afterwards."""
        swap = morphstream.open(self.store)
        thread = threading.Thread(target=lambda: self.ends.update([f"close: during it {self.call(swap)}"]))
        thread.start()
        time.sleep(moments.uniform(0, 0.2))
        swap.close()
        self.ends[f"close: after it {self.call(swap)}"] += 1
        thread.join()


def main() -> int:
    """Print how each call ended; return 0 if every trial kept what is promised, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.misuse", description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="how many trials of each")
    parser.add_argument("--seed", type=int, default=15, help="of the moments")
    parser.add_argument("--demo", type=Path, default=Path("build/demo"), help="folder of `make demo` (%(default)s)")
    options = parser.parse_args()
    source, target = (cv2.imread(str(options.demo / name)) for name in ("source.png", "target.jpg"))
    trials, moments = Trials(str(options.demo / "store"), source, target[:400, :400]), random.Random(options.seed)  # type: ignore[arg-type, index]
    longest = {trial.__name__: max(_time(trial, moments) for _ in range(options.times)) for trial in _kinds(trials)}
    for end, count in sorted(trials.ends.items()):
        print(f"{end}: {count}")
    print(", ".join(f"{name}: at most {seconds:.1f} s" for name, seconds in longest.items()))
    is_wrong = any("WRONG" in end or end.endswith("is refused") for end in trials.ends)
    return int(is_wrong or max(longest.values()) > LONGEST_S)


def _kinds(trials: Trials) -> tuple[Callable[[random.Random], None], ...]:
    return trials.kill, trials.fork, trials.thread, trials.close


def _time(trial: Callable[[random.Random], None], moments: random.Random) -> float:
    start = time.monotonic()
    trial(moments)
    return time.monotonic() - start


def _code_of(child: int) -> int:
    """Return the exit status of a process that is given `LONGEST_S`."""
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    sys.exit(main())
