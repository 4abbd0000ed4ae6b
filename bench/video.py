"""Time the swap of a video by the command, start included, beside what others take for the same.

The clip has 150 frames of 720p with sound and one face that moves, zooms and turns; the models are SCRFD and the kit.
Promised on two cores: at most 1.5 times as long as to decode and encode it with the same settings; and with
``--against``, a built checkout of an earlier version, a third of what a plain loop of that takes. InsightFace in a
plain loop is beside it. Each way runs in processes of its own, in turns, with bytecode as installed programs have it;
the least time of each counts.
`bench/facefusion.py` times a checkout of FaceFusion with the same clip.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import av

from bench import with_bytecode
from bench.clips import clip, write_clip
from morphstream.media.video.encoders import ENCODERS, Encoder

HERE = Path(__file__).resolve().parents[1]
DEMO = Path("build/demo")
OURS, BOUND = "the command", "decode and encode alone"
PEER, BEFORE = "InsightFace in a plain loop", "the earlier version in a plain loop"
TIMES_BOUND, TIMES_BEFORE = 1.5, 3.0


class Way(NamedTuple):
    """A program that swaps the clip, what is in its environment, and where it runs."""

    command: Sequence[str | Path]
    environment: Mapping[str, str] = {}
    folder: Path = HERE


class Cost(NamedTuple):
    """Seconds by the clock, and seconds of all processors."""

    wall_s: float
    processor_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s, {self.processor_s:.2f} s of the processors"


def main() -> int:
    """Print what each way takes; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.video", description=__doc__)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="a built checkout of an earlier version")
    parser.add_argument("--encoder", choices=sorted(ENCODERS), default="libx264", help="of all ways (%(default)s)")
    parser.add_argument("--quality", type=int, help="as the encoder counts it (its usual one)")
    parser.add_argument("--frames", type=int, default=150, help="of the clip (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each way (%(default)s)")
    args = parser.parse_args()
    encoder = ENCODERS[args.encoder] if args.quality is None else replace(ENCODERS[args.encoder], quality=args.quality)
    with tempfile.TemporaryDirectory() as name:
        target, output = Path(name) / "clip.mp4", Path(name) / "out.mp4"
        write_clip(clip("mixed", count=args.frames), target)
        best = measured(_ways(encoder, target, output, args.against), output, args.frames, args.runs)
    for way, cost in best.items():
        print(f"{way}: {cost}")
    ours = best.pop(OURS).wall_s
    print(
        f"the command takes {ours / best[BOUND].wall_s:.2f} of decode and encode alone, at most {TIMES_BOUND} promised"
    )
    print(f"the command is {best[PEER].wall_s / ours:.2f} times as fast as {PEER}")
    is_kept = ours <= TIMES_BOUND * best[BOUND].wall_s
    if args.against:
        print(f"the command is {best[BEFORE].wall_s / ours:.2f} times as fast as {BEFORE}, {TIMES_BEFORE} promised")
        is_kept &= best[BEFORE].wall_s >= TIMES_BEFORE * ours
    return int(not is_kept)


def _ways(encoder: Encoder, target: Path, output: Path, against: Path | None) -> dict[str, Way]:
    source, settings = HERE / DEMO / "source.png", dict(encoder.options)
    if encoder.quality is not None:
        settings[encoder.key] = str(encoder.quality)

    def loop(way: str, files: Path) -> list[str | Path]:
        command: list[str | Path] = [sys.executable, "-m", "bench.plain_loop", way, source, target, output]
        return [*command, "--files", files, "--encoder", encoder.name, "--options", json.dumps(settings)]

    command: list[str | Path] = [
        sys.executable,
        "-m",
        "morphstream",
        "swap",
        source,
        target,
        "-o",
        output,
        "--overwrite",
    ]
    command += ["--store", HERE / DEMO / "store", "--encoder", encoder.name, "--quality", str(encoder.quality)]
    ways = {OURS: Way(command), BOUND: Way(loop("decode-encode", HERE)), PEER: Way(loop("insightface", HERE / "build"))}
    if against:
        packages = {"PYTHONPATH": str(against.resolve() / "runtime")}
        ways[BEFORE] = Way(loop("morphstream", against.resolve() / DEMO / "store"), packages)
    return ways


def measured(ways: Mapping[str, Way], output: Path, frames: int, runs: int) -> dict[str, Cost]:
    """Run each way in turns; return the run of each that took least."""
    costs: dict[str, list[Cost]] = {way: [] for way in ways}
    for _ in range(runs):
        for name, way in ways.items():
            output.unlink(missing_ok=True)
            costs[name].append(_cost(way, output.parent / "bytecode"))
            with av.open(str(output)) as container:
                seen = sum(packet.size > 0 for packet in container.demux(video=0))
            if seen != frames:
                raise SystemExit(f"{name}: expected {frames} frames, seen {seen}")
    return {way: min(found) for way, found in costs.items()}


def _cost(way: Way, bytecode: Path) -> Cost:
    """Run a program, whose bytecode is kept in a folder; return what it took."""
    start = perf_counter()
    with tempfile.TemporaryFile() as printed:
        environment = {**with_bytecode(bytecode), **way.environment}
        process = subprocess.Popen(
            way.command, cwd=way.folder, env=environment, stdout=printed, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)  # it is over, as it was waited for here
        if process.returncode:
            printed.seek(0)
            raise SystemExit(printed.read().decode())
    return Cost(wall_s, usage.ru_utime + usage.ru_stime)


if __name__ == "__main__":
    sys.exit(main())
