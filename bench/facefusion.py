"""Time FaceFusion's own command on the clip of `bench.video`, beside this project's.

Given are a checkout of FaceFusion that works: its Python, ffmpeg, and its models, which a first run without a clock
fetches; and a store of the same models, as the kit's stand-ins are lighter. Both detect with SCRFD at 640, swap with
inswapper, mask what is before a face, and encode with the same settings. Promised: this project is 5 times as fast.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.clips import clip, write_clip
from bench.video import DEMO, HERE, Way, measured

TIMES = 5.0
_QUALITY, _CRF = "65", "18"  # the same, as FaceFusion counts and as libx264 does


def main() -> int:
    """Print what both take; return 0 if the promise holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.facefusion", description=__doc__)
    parser.add_argument("checkout", type=Path, help="of FaceFusion")
    parser.add_argument("--python", default="python", help="the one of FaceFusion (%(default)s)")
    parser.add_argument("--store", type=Path, default=HERE / DEMO / "store", help="of the same models (the kit's)")
    parser.add_argument("--swap-model", default="inswapper_128", help="(%(default)s)")
    parser.add_argument("--frames", type=int, default=150, help="of the clip (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each (%(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        target, output = Path(name) / "clip.mp4", Path(name) / "out.mp4"
        write_clip(clip("mixed", count=args.frames), target)
        peer = _peer(args, target, output)
        subprocess.run(peer.command, cwd=peer.folder, check=True)
        best = measured(
            {"FaceFusion": peer, "morphstream": _ours(args, target, output)}, output, args.frames, args.runs
        )
    for way, cost in best.items():
        print(f"{way}: {cost}")
    times = best["FaceFusion"].wall_s / best["morphstream"].wall_s
    print(f"morphstream is {times:.2f} times as fast, {TIMES} promised")
    return int(times < TIMES)


def _peer(args: argparse.Namespace, target: Path, output: Path) -> Way:
    command = [
        args.python,
        "facefusion.py",
        "headless-run",
        "-s",
        HERE / DEMO / "source.png",
        "-t",
        target,
        "-o",
        output,
    ]
    command += ["--processors", "face_swapper", "--face-swapper-model", "inswapper_128"]
    command += ["--face-detector-model", "scrfd", "--face-detector-size", "640x640", "--face-selector-mode", "many"]
    command += ["--face-mask-types", "box", "occlusion", "--execution-providers", "cpu"]
    command += ["--execution-thread-count", str(os.cpu_count() or 1), "--output-video-encoder", "libx264"]
    command += ["--output-video-preset", "medium", "--output-video-quality", _QUALITY]
    return Way(command, folder=args.checkout.resolve())


def _ours(args: argparse.Namespace, target: Path, output: Path) -> Way:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "morphstream",
        "swap",
        HERE / DEMO / "source.png",
        target,
        "-o",
        output,
    ]
    command += ["--store", args.store.resolve(), "--swap-model", args.swap_model]
    return Way([*command, "--encoder", "libx264", "--quality", _CRF])


if __name__ == "__main__":
    sys.exit(main())
