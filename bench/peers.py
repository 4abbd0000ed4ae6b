"""What the benchmarks of other programs' video commands share: their options, this project's command, the verdict.

The clip is the one of `bench.video`: 150 frames of 720p with sound. Both programs encode with the same encoder and
settings, run in turns, and start anew each time. Promised: this project is 5 times as fast.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.clips import clip, write_clip
from bench.video import DEMO, HERE, Way, measured

TIMES = 5.0
SOURCE = HERE / DEMO / "source.png"
CRF = "18"  # of libx264, preset medium


def options(name: str, words: str) -> argparse.ArgumentParser:
    """Return the options of a comparison with a program that has a checkout and a Python of its own."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=words)
    parser.add_argument("checkout", type=Path, help="of the other program")
    parser.add_argument("--python", default="python", help="the one of the other program (%(default)s)")
    parser.add_argument("--store", type=Path, default=HERE / DEMO / "store", help="of the same models (the kit's)")
    parser.add_argument("--swap-model", default="inswapper_128", help="(%(default)s)")
    parser.add_argument("--frames", type=int, default=150, help="of the clip (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each (%(default)s)")
    return parser


def compare(args: argparse.Namespace, name: str, peer: Callable[[Path, Path, Path], Way]) -> int:
    """Print what both programs take; return 0 if the promise holds, 1 otherwise.

    Args:
        args: Of `options`.
        name: Of the other program.
        peer: Makes its command of a clip, an output and a folder for what it keeps, and prepares that folder.
    """
    with tempfile.TemporaryDirectory() as folder:
        target, output = Path(folder) / "clip.mp4", Path(folder) / "out.mp4"
        write_clip(clip("mixed", count=args.frames), target)
        ways = {name: peer(target, output, Path(folder) / "kept"), "morphstream": _ours(args, target, output)}
        best = measured(ways, output, args.frames, args.runs)
    for way, cost in best.items():
        print(f"{way}: {cost}")
    theirs, ours = best[name], best["morphstream"]
    print(f"morphstream takes {theirs.processor_s / ours.processor_s:.2f} times less of the processors")
    print(f"morphstream is {theirs.wall_s / ours.wall_s:.2f} times as fast, {TIMES} promised")
    return int(theirs.wall_s < TIMES * ours.wall_s)


def _ours(args: argparse.Namespace, target: Path, output: Path) -> Way:
    command: list[str | Path] = [sys.executable, "-m", "morphstream", "swap", SOURCE, target, "-o", output]
    command += ["--store", args.store.resolve(), "--swap-model", args.swap_model]
    return Way([*command, "--encoder", "libx264", "--quality", CRF])
