"""Time Deep-Live-Cam's own headless command on the clip of `bench.video`, beside this project's.

Given are a checkout of Deep-Live-Cam, its Python, and ffmpeg. Its models are copied where it looks for them: the kit's
detector, embedder and swapper, or those of `--models`, of which `--store` holds the engines. It detects with SCRFD at
640 on every frame, swaps with inswapper, and masks nothing that is before a face.
"""

import shutil
import sys
from pathlib import Path

from bench.peers import CRF, SOURCE, compare, options
from bench.video import HERE, Way

_KIT = HERE / "build/models"


def main() -> int:
    """Print what both take; return 0 if the promise holds, 1 otherwise."""
    parser = options("deep_live_cam", __doc__ or "")
    parser.add_argument("--models", type=Path, default=_KIT, help="inswapper_128.onnx and buffalo_l/ (the kit's)")
    args = parser.parse_args()

    def peer(target: Path, output: Path, kept: Path) -> Way:
        shutil.copytree(args.models / "buffalo_l", kept / ".insightface/models/buffalo_l")
        shutil.copy(args.models / "inswapper_128.onnx", args.checkout / "models")
        command: list[str | Path] = [args.python, "run.py", "-s", SOURCE, "-t", target, "-o", output]
        command += ["--keep-fps", "--many-faces", "--execution-provider", "cpu"]
        command += ["--video-encoder", "libx264", "--video-quality", CRF]
        return Way(command, {"HOME": str(kept), "QT_QPA_PLATFORM": "offscreen"}, args.checkout.resolve())

    return compare(args, "Deep-Live-Cam", peer)


if __name__ == "__main__":
    sys.exit(main())
