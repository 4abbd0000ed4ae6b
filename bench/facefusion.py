"""Time FaceFusion's own command on the clip of `bench.video`, beside this project's.

Given are a checkout of FaceFusion that works: its Python, ffmpeg, and its models, which a first run without a clock
fetches; and a store of the same models, as the kit's stand-ins are lighter. Both detect with SCRFD at 640, swap with
inswapper, mask what is before a face, and encode with the same settings.
"""

import os
import subprocess
import sys
from pathlib import Path

from bench.peers import SOURCE, compare, options
from bench.video import Way

_QUALITY = "65"  # CRF 18, as FaceFusion counts


def main() -> int:
    """Print what both take; return 0 if the promise holds, 1 otherwise."""
    args = options("facefusion", __doc__ or "").parse_args()

    def peer(target: Path, output: Path, _: Path) -> Way:
        way = Way(_command(args.python, target, output), folder=args.checkout.resolve())
        subprocess.run(way.command, cwd=way.folder, check=True)
        return way

    return compare(args, "FaceFusion", peer)


def _command(python: str, target: Path, output: Path) -> list[str | Path]:
    command: list[str | Path] = [python, "facefusion.py", "headless-run", "-s", SOURCE, "-t", target, "-o", output]
    command += ["--processors", "face_swapper", "--face-swapper-model", "inswapper_128"]
    command += ["--face-detector-model", "scrfd", "--face-detector-size", "640x640", "--face-selector-mode", "many"]
    command += ["--face-mask-types", "box", "occlusion", "--execution-providers", "cpu"]
    command += ["--execution-thread-count", str(os.cpu_count() or 1), "--output-audio-encoder", "aac"]
    command += ["--output-video-encoder", "libx264", "--output-video-preset", "medium"]
    return [*command, "--output-video-quality", _QUALITY]


if __name__ == "__main__":
    sys.exit(main())
